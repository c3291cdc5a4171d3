"""``stackwright plan``: what would be built, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.cli.overview import Row


@click.command("plan")
@click.argument("pattern", default="*@*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the plans in full.")
@pass_context
def command(context: Context, pattern: str, as_json: bool) -> None:
    """Resolve labels and say what a build would do.

    PATTERN is a label in which each part may hold *, ? and [...]; without one, every label is
    planned. Nothing is written.

    \b
    Examples:
      stackwright plan
      stackwright plan 'pytorch/*-cpu@*'
      stackwright plan pytorch@local --json
    """
    from stackwright.cli.overview import overview

    rows = [*overview(context, context.select(pattern))]
    if as_json:
        echo_json([_plain(row) for row in rows])
        return
    for row in rows:
        click.echo("\n".join(_lines(row)))


def _plain(row: Row) -> dict[str, Any]:
    return {
        "label": str(row.label),
        "plan_hash": row.plan_hash,
        "state": row.state,
        "rebuild": not row.built,
        "before": row.before,
        "changes": None if row.changes is None else [asdict(change) for change in row.changes],
        "plan": row.plan.to_json(),
    }


def _lines(row: Row) -> Iterator[str]:
    yield f"{row.label}  {row.plan_hash}  {row.state}"
    if row.built:
        yield "  nothing to build"
    elif row.before is None:
        yield "  to build: never built before"
    elif row.changes is None:
        yield f"  to build: differs from {row.before}, whose plan is no longer in the store"
    else:
        yield f"  to build: differs from {row.before}"
        for change in row.changes:
            yield f"    {change.field}: {change.old or '(none)'} -> {change.new or '(none)'}"
