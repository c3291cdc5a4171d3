"""Reads what the OSU micro-benchmarks print (5 to 7: one table a test, no closing line).

Nothing in such a table says where it ends, so a log that was cut after a whole line shows only
beside one that has more sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from stackwright.importers.table import (
    Direction,
    Measurement,
    Problem,
    Table,
    invalid,
    is_measured,
    lines,
    number,
)

FORMAT = "OSU"
SPREAD = 0.10

METRICS: dict[str, tuple[str, str, Direction]] = {
    "Latency": ("latency", "us", "lower"),
    "Avg Latency": ("latency", "us", "lower"),
    "Bandwidth": ("bandwidth", "MB/s", "higher"),
    "MB/s": ("bandwidth", "MB/s", "higher"),
}
"""Columns that are judged: what each is called, its unit, and which way is better."""

_TITLE = re.compile(r"# OSU (.+?)(?: v[\d.]+)?\s*$")
_ROW = re.compile(r"\s*\d+(\.\d+)?(\s|$)")
_UNIT = re.compile(r"\s*\((us|MB/s)\)\s*$")
_NOTE = "OSU tables have no closing line: files that were cut at the same size look whole"


@dataclass
class Section:
    """One test: its title, columns and rows."""

    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)


def recognises(text: str) -> bool:
    """Is it the output of an OSU micro-benchmark?"""
    return "# OSU " in text


def read(text: str) -> Table:
    """The measurements of all tests in a log."""
    measurements: list[Measurement] = []
    problems: list[Problem] = []
    for section in _sections(text):
        rows, broken = _read_section(section)
        measurements += rows
        problems += broken
    if not text.endswith("\n"):
        problems.append(invalid("its last line is not ended: it was cut"))
    again = Counter((m.name, m.size) for m in measurements)
    problems += [
        invalid(f"{name} at {size} B is there {times} times")
        for (name, size), times in again.items()
        if times > 1
    ]
    return Table(FORMAT, SPREAD, tuple(measurements), tuple(problems), notes=(_NOTE,))


def _sections(text: str) -> Iterator[Section]:
    section: Section | None = None
    for line in lines(text):
        if title := _TITLE.match(line):
            if section:
                yield section
            section = Section(title[1])
        elif section and line.startswith("# ") and not section.columns:
            columns = [_UNIT.sub("", c) for c in re.split(r"\s{2,}", line[2:].strip())]
            section.columns = columns if set(columns) & set(METRICS) else []
        elif section and _ROW.match(line):
            section.rows.append(line)
    if section:
        yield section


def _read_section(section: Section) -> tuple[list[Measurement], list[Problem]]:
    judged = next((c for c in section.columns if c in METRICS), None)
    if judged is None:
        return [], [invalid(f"{section.title}: no latency or bandwidth column")]
    if not section.rows:
        return [], [invalid(f"{section.title}: it has no results")]
    measurements, broken = [], []
    sized = "Size" in section.columns
    metric, unit, direction = METRICS[judged]
    for line in section.rows:
        row = dict(zip(section.columns, line.split(), strict=False))
        value, size = number(row.get(judged)), row.get("Size", "0")
        whole = len(line.split()) == len(section.columns) and re.fullmatch(r"[0-9]{1,19}", size)
        if not whole or not is_measured(value):
            broken.append(invalid(f"{section.title}: not a whole row: {line.strip()!r}"))
        elif row.get("Validation", "Pass") != "Pass":
            broken.append(invalid(f"{section.title} at {size} B: the data came out wrong"))
        else:
            at = int(size) if sized else None
            measurements.append(Measurement(section.title, metric, unit, direction, value, size=at))
    return measurements, broken
