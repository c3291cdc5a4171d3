"""``stackwright lock``: write down what the solvers decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import ExitCode, StackwrightError

if TYPE_CHECKING:
    from stackwright.inputs.labels import Label
    from stackwright.locking.locks import Lock

_PARTS = {"wheels": "ask pip which wheels", "base": "make the base, to know its packages"}


@click.command("lock")
@click.argument("pattern", metavar="LABEL")
@click.option("--check", is_flag=True, help="Write nothing; say which locks are stale or missing.")
@click.option("--base-only", is_flag=True, help="Keep the wheels: Debian's mirrors have moved on.")
@click.option("--wheels-only", is_flag=True, help="Keep the base.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context,
    *,
    pattern: str,
    check: bool,
    base_only: bool,
    wheels_only: bool,
    as_json: bool,
) -> int:
    """Pin every wheel and Debian package of a label, by version and hash, in stacks/locks/.

    LABEL may hold *, ? and [...]; each label that it selects is locked. Locks are to be committed:
    builds use nothing else.

    \b
    Examples:
      stackwright lock pytorch/2.13.0-cpu@local
      stackwright lock 'pytorch/*@*' --check
      stackwright lock pytorch@local --base-only
    """
    from stackwright.fit import check_fit

    if base_only and wheels_only:
        raise click.UsageError("--base-only and --wheels-only exclude each other")
    labels = context.select(pattern)
    if check:
        return _check(context, labels, as_json)
    if context.site.shipped:
        raise StackwrightError(
            "the content that ships with Stackwright is read-only",
            hint="make a site of your own: stackwright init mysite && cd mysite",
        )
    check_fit(context.site, labels)
    results = [_lock(context, label, base_only, wheels_only) for label in labels]
    if as_json:
        echo_json(results)
    return ExitCode.OK


def _check(context: Context, labels: tuple[Label, ...], as_json: bool) -> int:
    found = [_state(context, label) for label in labels]
    if as_json:
        echo_json(found)
    for entry in [] if as_json else found:
        why = f": {entry['why']}; next: {entry['next']}" if entry["why"] else ""
        click.echo(f"{entry['label']}: {entry['state']}{why}")
    return ExitCode.OK if all(entry["fresh"] for entry in found) else ExitCode.FAIL


def _state(context: Context, label: Label) -> dict[str, Any]:
    """Whether a lock is ``fresh``, ``stale``, ``missing`` or ``unusable``, and what to do then."""
    from stackwright.locking.lockinputs import lock_inputs, locked, relock, stale_parts
    from stackwright.locking.locks import load_lock
    from stackwright.plans.plan import resolve

    def entry(state: str, why: str | None, todo: str | None) -> dict[str, Any]:
        fresh = state == "fresh"
        return {"label": str(label), "state": state, "fresh": fresh, "why": why, "next": todo}

    path, plan = context.site.lock_file(label), resolve(context.site, label)
    if not path.is_file():
        return entry("missing", "it was never locked", relock(str(label)))
    try:
        if parts := stale_parts(load_lock(path), lock_inputs(plan)):
            why = f"{' and '.join(parts)}, as the stack or the system file has changed since"
            return entry("stale", why, relock(str(label), parts))
        locked(plan, context.site)
    except StackwrightError as error:
        return entry("unusable", str(error), error.hint)
    return entry("fresh", None, None)


def _lock(context: Context, label: Label, base_only: bool, wheels_only: bool) -> dict[str, Any]:
    from stackwright.cli.progress import Progress, duration
    from stackwright.locking.lockinputs import lock_inputs, relock, stale_parts
    from stackwright.locking.locks import changes
    from stackwright.locking.solve import solve
    from stackwright.plans.plan import resolve
    from stackwright.store import Store, write_atomic
    from stackwright.tools.process import Runner

    plan = resolve(context.site, label)
    path = context.site.lock_file(label)
    old = _old(path, label, needed=base_only or wheels_only)
    store = Store(context.store(label.system))
    with Progress(color=context.color) as progress:
        lock = solve(
            plan,
            context.site,
            store,
            Runner(store.log, progress.line),
            keep_base=old if wheels_only else None,
            keep_wheels=old if base_only else None,
            on_part=lambda part, seconds: (
                progress.start(f"{label}: {_PARTS[part]}")
                if seconds is None
                else progress.end(f"{label}: {_PARTS[part]}: {duration(seconds)}")
            ),
        )
    write_atomic(path, lock.to_json())
    lines = changes(old, lock) if old else []
    click.echo(_summary(lock, old, lines, path), err=True)
    if parts := stale_parts(lock, lock_inputs(plan)):
        be = "is" if parts == ["base"] else "are"
        click.echo(
            f"warning: its {' and '.join(parts)} {be} still stale;"
            f" next: {relock(str(label), parts)}",
            err=True,
        )
    return {"label": str(label), "file": str(path), "new": old is None, "changes": lines}


def _old(path: Path, label: Label, *, needed: bool) -> Lock | None:
    from stackwright.locking.locks import load_lock

    if path.is_file():
        return load_lock(path)
    if needed:
        raise StackwrightError(
            f"{label} has no lock of which a part could be kept", hint=f"stackwright lock '{label}'"
        )
    return None


def _summary(lock: Lock, old: Lock | None, lines: list[str], path: Path) -> str:
    wheels = lock.wheels
    count = len(wheels.tools) + len(wheels.frameworks) + len(wheels.packages)
    head = f"{path}: {count} wheels, {len(lock.base.packages)} Debian packages"
    if old is None:
        return f"{head}\nnext: commit it, then: stackwright build '{lock.label}'"
    changed = "1 package" if len(lines) == 1 else f"{len(lines) or 'no'} packages"
    what = f"{changed} changed"
    return "\n".join([f"{head}; {what}", *(f"  {line}" for line in lines)])
