"""``stackwright list``: every label and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import StackwrightError

if TYPE_CHECKING:
    from rich.table import Table

    from stackwright.cli.overview import Row
    from stackwright.inputs.labels import Label

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
    refused    the system can't take it

    Notes say what a label lacks, or why it is refused: GPUs, an architecture, a lock, a store that
    can be named on this machine. Says, too, when the tag of a released image on this machine points
    to another image.

    \b
    Examples:
      stackwright list
      stackwright list 'pytorch/*@local' --json
    """
    from stackwright.cli.overview import overview, unreachable
    from stackwright.cli.strays import strays, warn
    from stackwright.inputs.systems import NoStoreHere

    labels, refused = context.select_all(pattern)
    elsewhere = unreachable(context, labels)
    for why in elsewhere.values():
        if not isinstance(why, NoStoreHere):
            raise why
    rows = [*overview(context, labels, elsewhere)]
    systems = {label.system for label in labels}
    found = {system: strays(context, system) for system in systems - elsewhere.keys()}
    shown = {
        str(row.label): [
            one for one in found.get(row.label.system, ()) if one.module == row.label.module
        ]
        for row in rows
    }
    for store in context.stores:
        if not store.exists():
            click.echo(f"there is no store at {store}: nothing was built there yet", err=True)
    notes = {row.label: [*_notes(row, elsewhere)] for row in rows}
    if as_json:
        plain = [_plain(row, shown[str(row.label)], notes[row.label]) for row in rows]
        echo_json([*plain, *(_cannot(context, *each) for each in refused.items())])
        return
    context.show(_table(context, rows, notes, refused))
    warn(chain.from_iterable(shown.values()))


def _notes(row: Row, elsewhere: Mapping[str, StackwrightError]) -> Iterator[str]:
    """What keeps a label from being built here."""
    if row.entry.why:
        yield row.entry.why
    if why := elsewhere.get(row.label.system):
        yield f"store elsewhere: {why.what.rpartition(', but ')[2]}"
    shown_elsewhere = row.state == "retired" or _unreadable(row)
    if isinstance(row.lock, StackwrightError) and not shown_elsewhere:
        yield row.lock.what.removeprefix(f"{row.label} ").removeprefix("has ")


def _cannot(context: Context, label: Label, why: str) -> dict[str, Any]:
    entry = context.site.stack(label.stack).versions[label.version]
    return {
        "label": str(label),
        "status": entry.status,
        "end_of_life": entry.end_of_life.isoformat() if entry.end_of_life else None,
        "state": "refused",
        "progress": None,
        "plan_hash": None,
        "waived": {},
        "notes": [why],
        "warnings": [],
    }


def _plain(row: Row, strays: Sequence[object], notes: Sequence[str]) -> dict[str, Any]:
    return {
        "label": str(row.label),
        "status": row.entry.status,
        "end_of_life": row.entry.end_of_life.isoformat() if row.entry.end_of_life else None,
        "state": row.state,
        "progress": row.progress,
        "plan_hash": row.plan_hash,
        "waived": dict(row.waived),
        "notes": list(notes),
        "warnings": [*map(str, strays), *([str(row.lock)] if _unreadable(row) else [])],
    }


def _table(
    context: Context,
    rows: Iterable[Row],
    notes: Mapping[Label, Sequence[str]],
    refused: Mapping[Label, str],
) -> Table:
    from rich import box
    from rich.table import Table

    heads = ("LABEL", "STATUS", "STATE", "END OF LIFE")
    wide = ("NOTES",) if refused or any(notes.values()) else ()
    table = Table(*heads, *wide, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        end = row.entry.end_of_life.isoformat() if row.entry.end_of_life else ""
        parts = [row.state, *([row.progress] if row.state == "stale" else []), *_waived(row)]
        parts += ["lock can't be read"] if _unreadable(row) else []
        style = STYLES.get(row.state, "none")
        said = "; ".join(notes[row.label])
        state = f"[{style}]{', '.join(parts)}[/]"
        table.add_row(str(row.label), row.entry.status, state, end, *([said] if wide else []))
    for label, why in refused.items():
        plain = _cannot(context, label, why)
        end = plain["end_of_life"] or ""
        table.add_row(str(label), plain["status"], "[dim]refused[/]", end, f"[dim]{why}[/]")
    return table


def _unreadable(row: Row) -> bool:
    """Whether there is a lock that no solver has written so; ``plan`` says what is wrong."""
    from stackwright.locking.locks import UnreadableLock

    return isinstance(row.lock, UnreadableLock)


def _waived(row: Row) -> list[str]:
    """How many cases were let through although they did not pass; ``show`` names them."""
    count = len(row.waived)
    return [f"{count} waived"] if count else []
