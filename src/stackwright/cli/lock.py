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

_ANEW = {
    "--upgrade": ("base", "wheels", "sources"),
    "--base-only": ("base", "sources"),
    "--wheels-only": ("wheels", "sources"),
}
"""The parts of a lock that an option has solved again, whether they fit or not.

What builds from sources holds both kinds: packages of pip, and a toolchain of Debian.
"""

_PARTS = {
    "wheels": "ask pip which wheels",
    "base": "make the base, to know its packages",
    "sources": "ask pip which sources, and make the toolchain",
}


@click.command("lock")
@click.argument("pattern", metavar="LABEL")
@click.option("--check", is_flag=True, help="Write nothing; say which locks are stale or missing.")
@click.option(
    "--diff",
    "revision",
    metavar="REV",
    help="Write nothing; say what changed in the locks since a revision of git.",
)
@click.option("--upgrade", is_flag=True, help="Take the newest of all, also where the lock fits.")
@click.option(
    "--base-only", is_flag=True, help="Make the base anew: Debian's mirrors have moved on."
)
@click.option("--wheels-only", is_flag=True, help="Choose the wheels anew, the newest of each.")
@click.option(
    "--time-limit",
    type=click.IntRange(min=1),
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="End a Spack that takes longer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context,
    *,
    pattern: str,
    check: bool,
    revision: str | None,
    upgrade: bool,
    base_only: bool,
    wheels_only: bool,
    time_limit: int,
    as_json: bool,
) -> int:
    """Pin every wheel and Debian package of a label, by version and hash, in stacks/locks/.

    LABEL may hold *, ? and [...]; each label that it selects is locked. A lock that is there is
    changed where it no longer fits, and nowhere else: other packages keep their versions if they
    can. Locks are to be committed: builds use nothing else.

    Where Spack installs the wheels of another variant, they are taken from that one's lock, and
    Spack is asked for its own, which takes seconds. What it makes from source it decides in 1 to 20
    minutes. Asked is the Spack that STACKWRIGHT_SPACK names (the folder of its checkout), else that
    of `spack` on PATH; from source, from Spack 1.0 on, with the packages that
    STACKWRIGHT_SPACK_PACKAGES names (the folder of theirs). --check and --diff need neither.

    \b
    Examples:
      stackwright lock pytorch/2.13.0-cpu@local
      stackwright lock pytorch/2.13.0-spack@local
      STACKWRIGHT_SPACK=~/spack stackwright lock pytorch/2.9.0-source@local
      stackwright lock 'pytorch/*@*' --check
      stackwright lock '*@*' --diff v1.2
      stackwright lock pytorch@local --upgrade
      stackwright lock pytorch@local --base-only
    """
    from stackwright.cli.lockdiff import show_changes
    from stackwright.fit import check_fit

    chosen = {"upgrade": upgrade, "base-only": base_only, "wheels-only": wheels_only}
    anew = [f"--{name}" for name, given in chosen.items() if given]
    asked = [*(["--check"] if check else []), *(["--diff"] if revision else []), *anew]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other")
    labels = context.select(pattern)
    if revision:
        return show_changes(context, pattern, labels, revision, as_json)
    if check:
        return _check(context, labels, as_json)
    if context.site.shipped:
        raise StackwrightError(
            "the content that ships with Stackwright is read-only",
            hint="make a site of your own: stackwright init mysite && cd mysite",
        )
    labels = _in_use(context, labels)
    check_fit(context.site, labels)
    parts = _ANEW[anew[0]] if anew else None
    results = [_lock(context, label, parts, time_limit) for label in labels]
    if as_json:
        echo_json(results)
    return ExitCode.OK


def _retired(context: Context, label: Label) -> str | None:
    """Why a version is not shipped any more, if it is not."""
    entry = context.site.stack(label.stack).versions[label.version]
    return (entry.why or "") if entry.status == "retired" else None


def _in_use(context: Context, labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Those of the labels that are shipped; the others are named.

    Raises:
        StackwrightError: none is.
    """
    retired = {label: why for label in labels if (why := _retired(context, label)) is not None}
    if len(retired) == len(labels):
        label, why = next(iter(retired.items()))
        what = f"{label} is retired: {why}"
        raise StackwrightError(what, hint="stackwright list says what is shipped")
    for label, why in retired.items():
        click.echo(f"{label}: retired: {why}", err=True)
    return tuple(label for label in labels if label not in retired)


def _check(context: Context, labels: tuple[Label, ...], as_json: bool) -> int:
    found = [_state(context, label) for label in labels]
    if as_json:
        echo_json(found)
    for entry in [] if as_json else found:
        told = "; next: ".join(filter(None, (entry["why"], entry["next"])))
        click.echo(f"{entry['label']}: {entry['state']}{': ' * bool(told)}{told}")
    if len(found) > 1 and not as_json:
        click.echo(_counts([entry["state"] for entry in found]))
    good = all(entry["fresh"] or entry["state"] == "retired" for entry in found)
    return ExitCode.OK if good else ExitCode.FAIL


def _counts(states: list[str]) -> str:
    """How many locks are in each state, as ``3 fresh, 0 stale, 1 missing``."""
    named = dict.fromkeys(["fresh", "stale", "missing", *sorted(states)])
    return ", ".join(f"{states.count(state)} {state}" for state in named)


def _state(context: Context, label: Label) -> dict[str, Any]:
    """Whether a lock is ``fresh``, ``stale``, ``missing`` or ``unusable``, and what to do then.

    Of what is ``retired`` none is needed.
    """
    from stackwright.locking.lockinputs import lock_inputs, locked, relock, stale_parts
    from stackwright.locking.locks import load_lock
    from stackwright.plans.plan import resolve

    def entry(state: str, why: str | None, todo: str | None) -> dict[str, Any]:
        fresh = state == "fresh"
        return {"label": str(label), "state": state, "fresh": fresh, "why": why, "next": todo}

    if (why := _retired(context, label)) is not None:
        return entry("retired", why, None)
    path, plan = context.site.lock_file(label), resolve(context.site, label)
    if plan.spack is not None:
        from stackwright.cli.spacklock import spack_state

        return entry(*spack_state(context.site, plan))
    if not path.is_file():
        return entry("missing", "it was never locked", relock(str(label)))
    try:
        if parts := stale_parts(load_lock(path, label), lock_inputs(plan)):
            why = f"{' and '.join(parts)}, as the stack or the system file has changed since"
            return entry("stale", why, relock(str(label)))
        locked(plan, context.site)
    except StackwrightError as error:
        return entry("unusable", str(error), error.hint)
    return entry("fresh", None, None)


def _lock(
    context: Context, label: Label, anew: tuple[str, ...] | None, seconds: int
) -> dict[str, Any]:
    """Solve these parts of a lock; None for those that don't fit."""
    from stackwright.cli.progress import Progress, duration
    from stackwright.fit import doubts
    from stackwright.locking.difference import told
    from stackwright.locking.lockinputs import lock_inputs, relock, stale_parts
    from stackwright.locking.locks import changes
    from stackwright.locking.sharing import neighbours, preferred, unshared
    from stackwright.locking.solve import solve
    from stackwright.plans.plan import resolve
    from stackwright.store import write_atomic
    from stackwright.tools.process import Runner

    plan = resolve(context.site, label)
    if plan.spack is not None and anew != _ANEW["--base-only"]:
        from stackwright.cli.spacklock import lock_by_spack

        found = lock_by_spack(context, plan, again=anew is not None, seconds=seconds)
        if not plan.toolchain:
            return found
        plan = resolve(context.site, label)  # with what Spack has just decided
    path = context.site.lock_file(label)
    old = _old(path, label, needed=anew not in (None, _ANEW["--upgrade"]))
    parts = anew or (stale_parts(old, lock_inputs(plan)) if old else _ANEW["--upgrade"])
    if old and not parts:
        click.echo(
            f"{path}: fits; for newer packages: stackwright lock --upgrade '{label}'", err=True
        )
        return {"label": str(label), "file": str(path), "new": False, "changes": []}
    for doubt in doubts(context.site, label) if "base" in parts else []:
        click.echo(f"warning: {doubt}", err=True)
    store = context.store(label.system)
    others = neighbours(context.site, plan)
    warnings: list[str] = []
    with Progress(color=context.color) as progress:
        lock = solve(
            # Who installs wheels on a base has no part in it.
            plan if plan.from_source else plan.model_copy(update={"spack": None}),
            context.site,
            store,
            Runner(store.log, progress.line),
            keep_base=None if "base" in parts else old,
            keep_wheels=None if "wheels" in parts else old,
            keep_sources=None if "sources" in parts else old,
            prefer=(old.wheels if old else preferred(others)) if anew is None else None,
            bases=[other.base for other in others] if old is None else [],
            on_part=lambda part, seconds: (
                progress.start(f"{label}: {_PARTS[part]}")
                if seconds is None
                else progress.end(f"{label}: {_PARTS[part]}: {duration(seconds)}")
            ),
            warn=warnings.append,
        )
    write_atomic(path, lock.to_json())
    lines = told(changes(old, lock)) if old else []
    click.echo(_summary(lock, old, lines, path), err=True)
    for warning in (*warnings, *unshared(lock, others)):
        click.echo(f"warning: {warning}", err=True)
    if stale := stale_parts(lock, lock_inputs(plan)):
        be = "is" if stale == ["base"] else "are"
        click.echo(
            f"warning: its {' and '.join(stale)} {be} still stale; next: {relock(str(label))}",
            err=True,
        )
    else:
        click.echo(f"next: commit it, then: stackwright build '{label}'", err=True)
    return {"label": str(label), "file": str(path), "new": old is None, "changes": lines}


def _old(path: Path, label: Label, *, needed: bool) -> Lock | None:
    from stackwright.locking.locks import load_lock

    if path.is_file():
        return load_lock(path, label)
    if needed:
        raise StackwrightError(
            f"{label} has no lock of which a part could be kept", hint=f"stackwright lock '{label}'"
        )
    return None


def _summary(lock: Lock, old: Lock | None, lines: list[str], path: Path) -> str:
    head = f"{path}: {len(lock.wheels.every)} wheels, {len(lock.base.packages)} Debian packages"
    if old is None:
        return head
    changed = "1 package" if len(lines) == 1 else f"{len(lines) or 'no'} packages"
    what = f"{changed} changed"
    return "\n".join([f"{head}; {what}", *(f"  {line}" for line in lines)])
