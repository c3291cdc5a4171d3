"""Reads what nccl-tests prints, since it has a `#wrong` column; NCCL_DEBUG lines may be in between.

The columns are found by the names in the table's own header. A table is whole if it has as many
sizes as its first line announces, both closing lines, and rows whose mean bus bandwidth is the one
that nccl-tests computed; so a log that was cut, or whose lines ran into each other, is found out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stackwright.importers.table import (
    Measurement,
    Problem,
    Table,
    invalid,
    is_measured,
    lines,
    number,
)

FORMAT = "nccl-tests"
SPREAD = 0.10

_START = re.compile(
    r"# nThread \d+ nGpus \d+ minBytes (\d{1,19}) maxBytes (\d{1,19})"
    r" step: (\d{1,19})\((factor|bytes)\)"
)
_REDUCED = re.compile(r"# Reducing maxBytes to (\d{1,19})")
_COLLECTIVE = re.compile(r"# Collective test starting: (\S+)")
_DEVICE = re.compile(r"#\s+Rank\s+\d+ .* on\s+(\S+) device\s+\d+ \[[^]]*\] (.+)")
_ROW = re.compile(r"\s*\d{1,19}\s+\d+\s+[a-z]\w*\s")
_WRONG = re.compile(r"# Out of bounds values\s+: (\d+) (\w+)")
_MEAN = re.compile(r"# Avg bus bandwidth\s+: (\S+)")
_TIMESTAMP = re.compile(r"\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*$")
_TIMINGS = ("out-of-place", "in-place")
_FIXED = ("size", "count", "type", "redop", "root")


@dataclass(frozen=True)
class Timing:
    """One timing of a row: us, GB/s, and the number of wrong elements (None: not verified)."""

    time: float
    bus_bandwidth: float
    wrong: float | None


@dataclass(frozen=True)
class Row:
    """One size of one collective."""

    name: str
    size: int
    timings: Mapping[str, Timing]


@dataclass
class Section:
    """The lines of one table, as far as they matter."""

    collective: str
    first: int
    last: int
    step: int
    by_factor: bool
    devices: list[tuple[str, str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    wrong: str | None = None
    mean: float | None = None


def recognises(text: str) -> bool:
    """Is it an nccl-tests log?"""
    return "# nThread " in text


def read(text: str) -> Table:
    """The measurements of all tables in a log."""
    sections = _sections(text)
    if not sections:
        return Table(FORMAT, SPREAD, problems=(invalid("its first line, '# nThread', is cut"),))
    measurements: list[Measurement] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for section in sections:
        rows, broken = _rows(section)
        problems += [*broken, *check_rows(rows), *_check_end(section, rows)]
        measurements += [m for row in rows for m in measurements_of(row)]
        notes += unverified(rows)
    return Table(
        FORMAT,
        SPREAD,
        tuple(measurements),
        tuple(problems),
        setup_of([device for section in sections for device in section.devices]),
        tuple(dict.fromkeys(notes)),
    )


def check_rows(rows: Sequence[Row]) -> Iterator[Problem]:
    """What is wrong in the rows themselves."""
    if not rows:
        yield invalid("it has no results")
    for (name, size), times in Counter((row.name, row.size) for row in rows).items():
        if times > 1 and size:
            yield invalid(f"{name} at {size} B is there {times} times")
    for row in rows:
        for timing, t in row.timings.items():
            at = f"{row.name} at {row.size} B, {timing}"
            if t.wrong is not None and t.wrong != 0:
                yield invalid(f"{at}: {t.wrong:g} wrong elements")
            if row.size and not is_measured(t.time):
                yield invalid(f"{at}: the time is no positive number")


def check_mean(rows: Sequence[Row], stated: float) -> Iterator[Problem]:
    """Do the rows have the mean bus bandwidth, in GB/s, that nccl-tests computed itself?"""
    values = [t.bus_bandwidth for row in rows for t in row.timings.values()]
    mean = math.fsum(values) / len(values) if values else math.nan
    if not abs(mean - stated) <= 0.006 + 1e-4 * abs(stated):  # rows have two decimals
        yield invalid(
            f"rows are missing: they average {mean:.4g} GB/s, the closing line says {stated:.4g}"
        )


def measurements_of(row: Row) -> Iterator[Measurement]:
    """A row's timings; none for the size 0 that some collectives begin with."""
    for timing, t in row.timings.items() if row.size else ():
        yield Measurement(
            name=row.name,
            metric="time",
            unit="us",
            direction="lower",
            value=t.time,
            size=row.size,
            timing=timing,
            shown=f"{t.bus_bandwidth:.4g} GB/s" if t.bus_bandwidth >= 1 else "",
        )


def setup_of(devices: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What must be equal to compare two logs, from each rank's (host, device)."""
    return {
        "ranks": str(len(devices)),
        "nodes": str(len({host for host, _ in devices})),
        "devices": ", ".join(sorted({device for _, device in devices})),
    }


def unverified(rows: Sequence[Row]) -> list[str]:
    """A note, if the sums were not verified."""
    unseen = any(t.wrong is None for row in rows for t in row.timings.values())
    return ["nccl-tests ran with -c 0: nobody checked that the results are right"] * unseen


def name_of(collective: str, kind: str, redop: str, root: str) -> str:
    """What a row measures, as it is shown."""
    parts = (collective, kind, "" if redop == "none" else redop)
    rooted = "" if root.strip() in {"-1", ""} else f"root {root.strip()}"
    return " ".join(part for part in (*parts, rooted) if part)


def _sections(text: str) -> list[Section]:
    sections: list[Section] = []
    collective = ""
    for line in lines(text):
        if found := _COLLECTIVE.match(line):
            collective = found[1]
        elif found := _START.match(line):
            name = collective or (f"table {len(sections) + 1}" if sections else "")
            first, last, step = (int(found[i]) for i in (1, 2, 3))
            sections.append(Section(name, first, last, step, found[4] == "factor"))
            collective = ""
        elif sections:
            _take(sections[-1], line)
    return sections


def _take(section: Section, line: str) -> None:
    """Keep a line in the section that it belongs to."""
    if found := _REDUCED.match(line):
        section.last = int(found[1])
    elif found := _DEVICE.match(line):
        section.devices.append((found[1], found[2].strip()))
    elif line.split()[1:3] == ["size", "count"]:
        section.columns = line.split()[1:]
    elif _ROW.match(line):
        section.rows.append(line)
    elif found := _WRONG.match(line):
        section.wrong = found[2]
    elif found := _MEAN.match(line):
        section.mean = number(found[1])


def _rows(section: Section) -> tuple[list[Row], list[Problem]]:
    columns = [name for name in section.columns if name != "timestamp"]
    fixed, timed = tuple(columns[: len(_FIXED)]), columns[len(_FIXED) :]
    width = len(timed) // 2
    if fixed != _FIXED or timed[:width] * 2 != timed or not {"busbw", "#wrong"} <= set(timed):
        return [], [
            invalid("its columns are not size to root, then two timings with busbw and #wrong")
        ]
    rows, broken = [], []
    for line in section.rows:
        fields = _TIMESTAMP.sub("", line).split()
        if len(fields) != len(columns):
            broken.append(invalid(f"a row has {len(fields)} of {len(columns)} columns: {line!r}"))
            continue
        size, _, kind, redop, root = fields[: len(_FIXED)]
        halves = (fields[len(_FIXED) :][:width], fields[len(_FIXED) :][width:])
        timings = {
            name: _timing(dict(zip(timed[:width], half, strict=True)))
            for name, half in zip(_TIMINGS, halves, strict=True)
        }
        rows.append(Row(name_of(section.collective, kind, redop, root), int(size), timings))
    return rows, broken


def _timing(fields: Mapping[str, str]) -> Timing:
    wrong = fields["#wrong"]
    return Timing(
        time=number(fields.get("time", fields.get("cputime"))),
        bus_bandwidth=number(fields["busbw"]),
        wrong=None if wrong == "N/A" else number(wrong),
    )


def _check_end(section: Section, rows: Sequence[Row]) -> Iterator[Problem]:
    """Is the table as long as it was announced, and closed?"""
    expected = sizes_between(section.first, section.last, section.step, section.by_factor)
    for name, found in Counter(row.name for row in rows).items():
        if found != expected:
            yield invalid(f"{name} has {found} of the {expected} sizes that were asked for: cut?")
    if section.wrong is None or section.mean is None:
        yield invalid("its closing lines are missing: it was cut, or the test died")
        return
    if section.wrong != "OK":
        yield invalid("nccl-tests itself says that values are out of bounds")
    yield from check_mean(rows, section.mean)


def sizes_between(first: int, last: int, step: int, by_factor: bool) -> int:
    """How many sizes are measured from `first` to `last` bytes; 0 if the steps go nowhere."""
    if first > last or (first < 1 if by_factor else step < 1) or (by_factor and step <= 1):
        return 0
    if not by_factor:
        return (last - first) // step + 1
    count, size = 0, first
    while size <= last:
        count, size = count + 1, size * step
    return count
