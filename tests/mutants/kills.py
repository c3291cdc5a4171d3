"""The kill table in a file, row by row, and on the page that shows it.

`make mutants JSON=FILE` writes each row as soon as it is known, and injects only faults that have
none there yet: it may be stopped and goes on. Rows are never replaced: who injects a fault once
more (FAULT=name) adds a row, and the page says how often. A row holds for the code that it was
found on, by its digest; a fault without a row of today's code is injected.

`make mutants-table JSON=FILE` writes the page, from one file or several.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from fault import Fault, Row, load_catalogue, table

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/mutants.md"
BEGIN, END = "<!-- begin kill_table -->\n", "<!-- end kill_table -->"
# What decides of a fault beside its injector: cases and suites, driver and gate, the stack.
DECIDES = (
    *("validation", "src/stackwright", "examples/break-it", "setup/requirements-payload.txt"),
    *("tests/mutants/fault.py", "tests/mutants/payload.py"),
)
TOOLS = ("../../setup/requirements-tools.txt", "../../setup/stack-of-tools.sh")
INJECTS = {
    "start-up": ("faults/{}.py", "faults/_ddp.py", "faults/sitecustomize.py"),
    "prefix": ("prefixes.py", *TOOLS),
    "library": ("libraries/{}.c", "libraries/passes_on.h", "interposed.py", *TOOLS),
    "attack": ("attacks.py", "../site", "../walkthrough", "../build"),
}


@cache
def digest(*places: str) -> str:
    """Hash files of the repository, and all files of its folders, with their names."""
    found = hashlib.sha256()
    for place in places:
        root = REPOSITORY / place
        files = [root] if root.is_file() else root.rglob("*")
        for file in sorted(f for f in files if f.is_file() and f.suffix != ".pyc"):
            found.update(f"{file.relative_to(REPOSITORY)}\0".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def code_of(fault: Fault, way: str) -> str:
    """The digest of all that a fault's row depends on: its entry, its injector, what decides."""
    injects = (
        os.path.normpath(f"tests/mutants/{place.format(fault.injector)}") for place in INJECTS[way]
    )
    both = f"{digest(*DECIDES)} {digest(*injects)} {fault.model_dump_json()}"
    return hashlib.sha256(both.encode()).hexdigest()


def codes() -> dict[str, str]:
    """The digest for each fault of the catalogue."""
    ways = load_catalogue().ways().items()
    return {fault.name: code_of(fault, way) for way, faults in ways for fault in faults}


@dataclass(frozen=True)
class Kill:
    """A row of the kill table, and what it was found on.

    Args:
        code: the digest of what it depends on.
        ended: when, as ISO 8601 in UTC.
        load: processes that waited for a core or had one, as the kernel's mean over a minute.
    """

    row: Row
    code: str
    ended: str
    load: float

    @staticmethod
    def of(row: Row, code: str) -> Kill:
        """Record a row now."""
        ended = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return Kill(row, code, ended, round(os.getloadavg()[0], 1))

    @staticmethod
    def read(entry: Mapping[str, Any]) -> Kill:
        """Read what `to_json` wrote."""
        row = {f.name: entry[f.name] for f in fields(Row)} | {"missed": tuple(entry["missed"])}
        return Kill(Row(**row), entry["code"], entry["ended"], entry["load"])

    def to_json(self) -> dict[str, Any]:
        """The row with what it was found on, for other programs."""
        return {**self.row.to_json(), "code": self.code, "ended": self.ended, "load": self.load}


@dataclass
class Kills:
    """The rows of a file, or of this run alone.

    Args:
        rows: all of them.
        counting: those that decide of this run: its own, and those that it goes on from.
    """

    file: Path | None = None
    rows: list[Kill] = field(default_factory=list)
    counting: list[Kill] = field(default_factory=list)

    @staticmethod
    def load(file: Path | None) -> Kills:
        """Read a file; none, or one that is not there yet, has no rows."""
        if file is None or not file.exists():
            return Kills(file)
        return Kills(file, [Kill.read(entry) for entry in json.loads(file.read_bytes())])

    def go_on(self, code: Mapping[str, str]) -> set[str]:
        """Count the rows of this code, by fault; the faults that have one."""
        self.counting = [kill for kill in self.rows if code.get(kill.row.fault) == kill.code]
        return {kill.row.fault for kill in self.counting}

    def add(self, kill: Kill) -> None:
        """Keep a row, at once: the file is whole at any moment."""
        self.rows.append(kill)
        self.counting.append(kill)
        if self.file:
            text = json.dumps([kill.to_json() for kill in self.rows], indent=1)
            fresh = self.file.with_name(f"{self.file.name}.new")
            fresh.write_text(f"{text}\n")
            fresh.replace(self.file)


def last_of_each(kills: Iterable[Kill], names: Sequence[str]) -> list[Kill]:
    """The last row of each fault, in the order of the catalogue."""
    last = {kill.row.fault: kill for kill in sorted(kills, key=lambda kill: kill.ended)}
    return [last[name] for name in names if name in last]


def section(kills: Sequence[Kill], now: Mapping[str, str]) -> str:
    """The rows as the page shows them.

    Args:
        now: the digest of today's code for each fault of the catalogue.
    """
    last = last_of_each(kills, list(now))
    caught = sum(kill.row.killed for kill in last)
    return "\n".join(
        [
            *_circumstances(last),
            "",
            "```",
            *table([kill.row for kill in last]),
            f"{caught} of {len(last)} faults caught",
            "```",
            *_remarks(kills, last, now),
            "",
        ]
    )


def _circumstances(last: Sequence[Kill]) -> Iterator[str]:
    days = sorted({kill.ended[:10] for kill in last})
    loads = [kill.load for kill in last]
    seconds = sum(kill.row.seconds for kill in last)
    yield (
        f"On {' and '.join(days)}, with {min(loads)} to {max(loads)} processes running or waiting. "
        f'"seconds" is the'
    )
    yield f"time of the faulty case or attack alone, {seconds / 60:.0f} minutes in all."


def _remarks(kills: Sequence[Kill], last: Sequence[Kill], now: Mapping[str, str]) -> Iterator[str]:
    """What the table doesn't show: what is missing, what is old, what needed more than one try."""
    tries = Counter(kill.row.fault for kill in kills)
    told = {
        "No row yet": now.keys() - {kill.row.fault for kill in last},
        "Found on earlier code": {k.row.fault for k in last if k.code != now[k.row.fault]},
        "Injected more than once, the last one is shown": {
            kill.row.fault for kill in last if tries[kill.row.fault] > 1
        },
    }
    for what, names in told.items():
        if names:
            yield f"\n{what}: {_names(names, list(now))}."


def _names(names: Set[str], every: Sequence[str]) -> str:
    """Name faults in the order of the catalogue, or those that are left where they are fewer."""
    few = 2 * len(names) <= len(every)
    listed = ", ".join(name for name in every if (name in names) is few)
    return listed if few else f"all but {listed}" if listed else "all"


def replaced(page: str, text: str) -> str:
    """The page with other text between its markers.

    Raises:
        ValueError: the markers are not there.
    """
    head, begun, rest = page.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"no lines '{BEGIN.strip()}' and '{END}'")
    return f"{head}{BEGIN}{text}{END}{tail}"


def main(files: Sequence[str]) -> None:
    """Write the page."""
    kills = [kill for file in files for kill in Kills.load(Path(file)).rows]
    if not kills:
        sys.exit("usage: make mutants-table JSON='FILE ...', where make mutants JSON=FILE put rows")
    page = replaced(PAGE.read_text(encoding="utf-8"), section(kills, codes()))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
