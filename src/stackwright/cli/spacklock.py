"""``stackwright lock`` where Spack has a part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stackwright.errors import StackwrightError

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.inputs.site import Site
    from stackwright.plans.plan import Plan


def lock_by_spack(context: Context, plan: Plan, *, again: bool, seconds: int) -> dict[str, Any]:
    """Ask Spack for its lock where it has none that fits.

    The wheels that it installs, if any, are taken from the other variant's lock.

    Args:
        again: ask it even where its lock fits.
        seconds: how long Spack may take.
    """
    from stackwright.cli.progress import Progress, duration
    from stackwright.locking.difference import told
    from stackwright.locking.locks import load_lock
    from stackwright.spack.concretize import concretize
    from stackwright.spack.lockdiff import differences
    from stackwright.spack.locked import spack_lock_of, stale
    from stackwright.spack.lockfile import nodes
    from stackwright.spack.wheels import lock_of_wheels
    from stackwright.store import write_atomic
    from stackwright.tools.process import Runner
    from stackwright.tools.spack import find_packages, find_spack

    site, label = context.site, plan.label
    lock = None if plan.from_source else lock_of_wheels(plan, site)
    path, own = site.lock_file(label), site.spack_lock_file(label)
    old = spack_lock_of(plan, site)
    locked = lock is None or (path.is_file() and load_lock(path, label) == lock)
    if old and locked and not (again or stale(old, plan, lock, site)):
        click.echo(f"{own}: fits; to ask again: stackwright lock --upgrade '{label}'", err=True)
        return {"label": str(label), "file": str(own), "new": False, "changes": []}
    store = context.store(label.system)
    with Progress(color=context.color) as progress:
        runner = Runner(store.log, progress.line)
        spack = find_spack(runner)
        packages = None if lock else find_packages(spack, runner)
        title = f"{label}: ask Spack {spack.version} for its lock"
        progress.start(title)
        found = concretize(plan, lock, site, spack, packages, store, runner, seconds=seconds)
        progress.end(f"{title}: {duration(found.seconds)}")
    if lock and not locked:
        write_atomic(path, lock.to_json())
    if old is None or not found.same_as(old):  # what it took is no reason to build anew
        write_atomic(own, found.to_json())
    changes = told(differences(old, found)) if old else []
    head = f"{own}: {len(nodes(found.lock))} packages by Spack {found.spack.version}"
    click.echo("\n".join([head, *(f"  {line}" for line in changes)]), err=True)
    if lock or not plan.toolchain:  # else the base is locked next
        todo = (
            f"stackwright build '{label}'"
            if lock
            else f"stackwright render '{label}' -o DIR, as {label.system} names no builder"
        )
        click.echo(f"next: commit it, then: {todo}", err=True)
    return {"label": str(label), "file": str(own), "new": old is None, "changes": changes}


def spack_state(site: Site, plan: Plan) -> tuple[str, str | None, str | None]:
    """Whether Spack's lock is ``fresh``, ``stale``, ``missing`` or ``unusable``; why; what to do.

    Spack itself isn't needed to tell.
    """
    from stackwright.locking.lockinputs import locked, relock
    from stackwright.spack.locked import spack_lock_of, spack_locked

    todo = relock(str(plan.label))
    try:
        if spack_lock_of(plan, site) is None:
            return "missing", "Spack was never asked", todo
        if plan.from_source and not plan.toolchain:  # it is rendered, and built elsewhere
            spack_locked(plan, None, site)
        elif plan.from_source and not site.lock_file(plan.label).is_file():
            return "missing", "its base and its builder were never locked", todo
        else:
            locked(plan, site)
    except StackwrightError as error:
        return ("stale" if error.hint == todo else "unusable"), error.what, error.hint
    return "fresh", None, None
