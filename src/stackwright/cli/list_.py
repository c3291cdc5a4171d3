"""``stackwright list``: every label and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from rich.table import Table

    from stackwright.cli.overview import Row

STYLES = {"released": "green", "stale": "yellow", "retired": "dim"}


@click.command("list")
@click.argument("pattern", default="*@*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, pattern: str, as_json: bool) -> None:
    """List labels and their states.

    \b
    planned    resolved from the files of the site
    locked     every wheel and package is pinned
    built      the artefact is in the store
    validated  the suite has passed
    certified  a certificate is signed and has not expired
    released   users load it
    stale      users load it, and the files of the site have changed since; beside it stands how
               far what they say now has come
    waived     so many cases did not pass and are let through; `show` and `verify` name them
    retired    no longer shipped

    Says, too, when the tag of a released image on this machine points to another image.

    \b
    Examples:
      stackwright list
      stackwright list 'pytorch/*@local' --json
    """
    from stackwright.cli.overview import overview, reachable
    from stackwright.cli.strays import strays, warn

    rows = [*overview(context, reachable(context, context.select(pattern)))]
    found = {system: strays(context, system) for system in {row.label.system for row in rows}}
    shown = {
        str(row.label): [one for one in found[row.label.system] if one.module == row.label.module]
        for row in rows
    }
    for store in context.stores:
        if not store.exists():
            click.echo(f"there is no store at {store}: nothing was built there yet", err=True)
    if as_json:
        echo_json([_plain(row, shown[str(row.label)]) for row in rows])
        return
    context.show(_table(rows))
    for row in rows:
        warn(shown[str(row.label)])


def _plain(row: Row, strays: Sequence[object]) -> dict[str, Any]:
    return {
        "label": str(row.label),
        "status": row.entry.status,
        "end_of_life": row.entry.end_of_life.isoformat() if row.entry.end_of_life else None,
        "state": row.state,
        "progress": row.progress,
        "plan_hash": row.plan_hash,
        "waived": dict(row.waived),
        "warnings": [*map(str, strays), *([str(row.lock)] if _unreadable(row) else [])],
    }


def _table(rows: Iterable[Row]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("LABEL", "STATUS", "STATE", "END OF LIFE", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        end = row.entry.end_of_life.isoformat() if row.entry.end_of_life else ""
        parts = [row.state, *([row.progress] if row.state == "stale" else []), *_waived(row)]
        parts += ["lock can't be read"] if _unreadable(row) else []
        style = STYLES.get(row.state, "none")
        table.add_row(str(row.label), row.entry.status, f"[{style}]{', '.join(parts)}[/]", end)
    return table


def _unreadable(row: Row) -> bool:
    """Whether there is a lock that no solver has written so; ``plan`` says what is wrong."""
    from stackwright.locking.locks import UnreadableLock

    return isinstance(row.lock, UnreadableLock)


def _waived(row: Row) -> list[str]:
    """How many cases were let through although they did not pass; ``show`` names them."""
    count = len(row.waived)
    return [f"{count} waived"] if count else []
