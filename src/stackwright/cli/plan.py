"""``stackwright plan``: what would be built, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import StackwrightError

if TYPE_CHECKING:
    from stackwright.building.providers.steps import Step
    from stackwright.cli.overview import Row


@click.command("plan")
@click.argument("pattern", default="*@*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the plans in full.")
@pass_context
def command(context: Context, pattern: str, as_json: bool) -> None:
    """Resolve labels and say what a build would do.

    PATTERN is a label in which each part may hold *, ? and [...]; without one, every label is
    planned. Nothing is written. A label that could never be released, for its suite or the Python
    of its system's base, is an error; the others are planned all the same.

    \b
    Examples:
      stackwright plan
      stackwright plan 'pytorch/*-cpu@*'
      stackwright plan pytorch@local --json
    """
    from stackwright.cli.overview import overview, reachable
    from stackwright.cli.verdicts import warn_of_waivers
    from stackwright.fit import check_fit, misfits

    warn_of_waivers(context.site)
    labels = reachable(context, context.select(pattern))
    fit = [label for label in labels if not misfits(context.site, label)]
    rows = [*overview(context, fit)]
    if as_json:
        echo_json([_plain(context, row) for row in rows])
    for row in [] if as_json else rows:
        click.echo("\n".join(_lines(context, row)))
    check_fit(context.site, labels)


def _steps(context: Context, row: Row) -> tuple[Step, ...] | None:
    """The steps that a build would do; None without a lock that says which."""
    from stackwright.building.build import missing_steps

    if row.built:
        return ()
    if isinstance(row.lock, StackwrightError):
        return None
    store = context.store(row.label.system)
    return missing_steps(row.plan, row.lock, context.site, store)


def _plain(context: Context, row: Row) -> dict[str, Any]:
    steps = _steps(context, row)
    return {
        "label": str(row.label),
        "plan_hash": row.plan_hash,
        "state": row.state,
        "progress": row.progress,
        "rebuild": not row.built,
        "steps": None if steps is None else [step.name for step in steps],
        "before": row.before,
        "changes": None if row.changes is None else [asdict(change) for change in row.changes],
        "warnings": [*_warnings(context, row)],
        "plan": row.plan.to_json(),
    }


def _lines(context: Context, row: Row) -> Iterator[str]:
    progress = f", {row.progress}" if row.state == "stale" else ""
    yield f"{row.label}  {row.plan_hash}  {row.state}{progress}"
    if row.built:
        yield "  nothing to build"
    elif row.before is None:
        yield "  to build: never built before"
    elif row.changes is None:
        yield f"  to build: differs from {row.before}, whose plan is no longer in the store"
    else:
        yield f"  to build: differs from {row.before}"
        for change in row.changes:
            what = f"{change.old or '(none)'} -> {change.new or '(none)'}"
            yield f"    {change.file}: {change.field}: {what}"
    if isinstance(row.lock, StackwrightError):
        yield f"  first: {row.lock.hint}   ({row.lock.what})"
    elif steps := _steps(context, row):
        yield f"  steps: {', '.join(step.name for step in steps)}"
        yield f"  next: stackwright build '{row.label}'"
    for warning in _warnings(context, row):
        yield f"  warning: {warning}"


def _warnings(context: Context, row: Row) -> Iterator[str]:
    from stackwright.fit import doubts, unmet
    from stackwright.locking.cudawheels import cuda_doubts
    from stackwright.plans.plan import warnings

    if isinstance(row.lock, StackwrightError):
        yield from doubts(context.site, row.label)
    else:
        yield from cuda_doubts(row.plan, row.lock.wheels, context.site)
    yield from unmet(context.site, row.label)
    yield from warnings(context.site, row.label, row.versions)
