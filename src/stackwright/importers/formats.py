"""Finds out what a file is, and reads it."""

from __future__ import annotations

from collections.abc import Callable

from stackwright.errors import StackwrightError
from stackwright.importers import csvtable, nccljson, nccltests, osu
from stackwright.importers.csvtable import Columns
from stackwright.importers.hang import hung
from stackwright.importers.table import Table, invalid

LOGS: tuple[tuple[Callable[[str], bool], Callable[[str], Table]], ...] = (
    (nccljson.recognises, nccljson.read),
    (nccltests.recognises, nccltests.read),
    (osu.recognises, osu.read),
)
"""Formats that say by themselves what they measured: how each is recognised, and its reader."""


def read(text: str, columns: Columns) -> Table:
    """The table in a file's text; one with a problem if it is empty, hung or of no known format.

    Raises:
        StackwrightError: the columns don't fit the file.
    """
    if sign := hung(text):
        return Table("log", spread=0.0, problems=(sign,))
    if not text.strip():
        return Table("empty", spread=0.0, problems=(invalid("it is empty"),))
    for recognises, reader in LOGS:
        if recognises(text):
            if columns != Columns():
                raise StackwrightError(
                    "only a CSV has columns to choose",
                    hint="leave out --where, --higher, --lower, --ignore and --pair",
                )
            return reader(text)
    if csvtable.recognises(text):
        return csvtable.read(text, columns)
    known = f"nccl-tests, its JSON, OSU, CSV{_wanted(text)}"
    return Table(
        "unknown", spread=0.0, problems=(invalid(f"it is none of what can be read: {known}"),)
    )


def _wanted(text: str) -> str:
    """What is said of a table whose columns are apart by other marks than a CSV's."""
    header = text.partition("\n")[0]
    found = [name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in header]
    return f" (with commas between the columns, not {found[0]})" if found else ""
