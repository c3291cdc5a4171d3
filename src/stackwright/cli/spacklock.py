"""``stackwright lock`` where Spack has a part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.plans.plan import Plan


def lock_by_spack(context: Context, plan: Plan, *, again: bool, seconds: int) -> dict[str, Any]:
    """Take the wheels from the other variant's lock, and ask Spack where its own doesn't fit.

    Args:
        again: ask it even where it fits.
        seconds: how long Spack may take.
    """
    from stackwright.cli.progress import Progress, duration
    from stackwright.spack.concretize import concretize
    from stackwright.spack.lockdiff import differences
    from stackwright.spack.locked import stale
    from stackwright.spack.lockfile import load_spack_lock, nodes
    from stackwright.spack.wheels import lock_of_wheels
    from stackwright.store import Store, write_atomic
    from stackwright.tools.process import Runner
    from stackwright.tools.spack import find_spack

    site, label = context.site, plan.label
    lock = lock_of_wheels(plan, site)
    path, own = site.lock_file(label), site.spack_lock_file(label)
    old = load_spack_lock(own, label) if own.is_file() else None
    same_wheels = path.is_file() and path.read_bytes() == lock.to_json()
    if old and same_wheels and not (again or stale(old, plan, lock, site)):
        click.echo(f"{own}: fits; to ask again: stackwright lock --upgrade '{label}'", err=True)
        return {"label": str(label), "file": str(own), "new": False, "changes": []}
    store = Store(context.store(label.system))
    with Progress(color=context.color) as progress:
        runner = Runner(store.log, progress.line)
        spack = find_spack(runner)
        title = f"{label}: ask Spack {spack.version} for its lock"
        progress.start(title)
        found = concretize(plan, lock, site, spack, store, runner, seconds=seconds)
        progress.end(f"{title}: {duration(found.seconds)}")
    write_atomic(path, lock.to_json())
    write_atomic(own, found.to_json())
    changes = differences(old.lock, found.lock) if old else []
    head = f"{own}: {len(nodes(found.lock))} packages by Spack {found.spack.version}"
    click.echo("\n".join([head, *(f"  {line}" for line in changes)]), err=True)
    click.echo(f"next: commit both, then: stackwright build '{label}'", err=True)
    return {"label": str(label), "file": str(own), "new": old is None, "changes": changes}
