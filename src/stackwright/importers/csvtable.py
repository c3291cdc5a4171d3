"""Reads a table of comma-separated values: rows are runs, some columns are metrics."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stackwright.errors import StackwrightError
from stackwright.importers.table import (
    Direction,
    Measurement,
    Problem,
    Table,
    invalid,
    is_measured,
    number,
)
from stackwright.inputs.suggest import did_you_mean

FORMAT = "CSV"
SPREAD = 0.015
STD = "_std"
"""Ends the name of the column with a metric's standard deviation, in the metric's unit."""
_UNIT = re.compile(r"(^|[\W_])units?$", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """What the columns mean.

    `metrics` gives each metric's direction; `where` the values that select an arm's rows; `pair`
    the column that names the job in which both arms ran. `ignored` columns, such as a date, don't
    tell rows apart; nor do those of `selecting`, in which the arms may differ. All others do.
    """

    metrics: Mapping[str, Direction] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    selecting: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    pair: str | None = None


def recognises(text: str) -> bool:
    """Has its first line several columns?"""
    return "," in text.partition("\n")[0]


def read(text: str, columns: Columns) -> Table:
    """The measurements in the rows that are selected.

    Raises:
        StackwrightError: no metric was named, or a column that isn't there.
    """
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return Table(FORMAT, SPREAD, problems=(invalid(f"it is no CSV: {error}"),))
    header, rows = [name.strip() for name in lines[0]], lines[1:]
    _check_columns(header, columns)
    _check_described(header, rows, columns)
    problems = list(_check_shape(text, header, rows))
    records = [dict(zip(header, row, strict=False)) for row in rows if len(row) == len(header)]
    chosen = [r for r in records if all(r[k].strip() == v for k, v in columns.where.items())]
    if not chosen:
        wanted = ", ".join(f"{k}={v}" for k, v in columns.where.items()) or "a header"
        problems.append(invalid(f"it has no row with {wanted}"))
    measurements = [m for record in chosen for m in _measurements(record, columns)]
    problems += [
        invalid(f"{m.name}: {m.metric} is {'missing' if m.value != m.value else f'{m.value:g}'}")
        for m in measurements
        if not is_measured(m.value)
    ]
    problems += [
        invalid(f"{m.name}: {m.metric}{STD} is no number")
        for m in measurements
        if m.spread is not None and not 0 <= m.spread < float("inf")
    ]
    problems += [invalid(f"{m.name}: its pair is missing") for m in measurements if m.pair == ""]
    described = {
        name: frozenset(record[name].strip() for record in chosen)
        for name in header
        if name not in _undescriptive(columns)
    }
    return Table(
        FORMAT,
        SPREAD,
        tuple(measurements),
        tuple(problems),
        notes=tuple(_doubts(chosen, columns)),
        described=described,
    )


def _doubts(chosen: Sequence[Mapping[str, str]], columns: Columns) -> Iterator[str]:
    """Say which columns that were ignored would make the pairs runs of several things."""
    for name in sorted(columns.ignored - columns.metrics.keys() if columns.pair else ()):
        values = {record[name].strip() for record in chosen}
        if len(values) > 1 and not _look_measured(values):
            yield (
                f"'{name}', which is ignored, has several values: these are pairs of one"
                " measurement only if it doesn't say what was measured"
            )


def _check_columns(header: list[str], columns: Columns) -> None:
    if not columns.metrics:
        raise StackwrightError(
            f"which columns are metrics? the file has: {', '.join(header)}",
            hint="name each: --higher COLUMN where more is better, --lower COLUMN where less is",
        )
    paired = {columns.pair} if columns.pair else set()
    named = {*columns.metrics, *columns.where, *columns.selecting, *columns.ignored, *paired}
    for name in sorted(named - set(header)):
        raise StackwrightError(
            f"no column '{name}'{did_you_mean(name, header)}",
            hint=f"the columns are: {', '.join(header)}",
        )
    for name in sorted(columns.ignored | columns.selecting):
        if _UNIT.search(name):
            raise StackwrightError(
                f"the arms can't be compared in different units: '{name}' has to agree",
                hint=f"leave it as it is, or choose one for both arms: --where '{name}=VALUE'",
            )


def _check_described(header: list[str], rows: list[list[str]], columns: Columns) -> None:
    """Ask about a column that looks measured: as a description it would tell all rows apart."""
    for at, name in enumerate(header):
        values = [row[at].strip() for row in rows if at < len(row)]
        unlike = len({*values}) == len(values) > 1
        if name in _undescriptive(columns) or not _look_measured(values) or not unlike:
            continue
        raise StackwrightError(
            f"is '{name}' a metric? no two of its values are equal",
            hint=f"say so: --higher {name}, --lower {name}, or --ignore {name}",
        )


def _look_measured(values: Collection[str]) -> bool:
    return all("." in value and is_measured(number(value)) for value in values)


def _undescriptive(columns: Columns) -> set[str]:
    """The columns that don't tell rows apart."""
    return {
        *columns.metrics,
        *(metric + STD for metric in columns.metrics),
        *columns.where,
        *columns.selecting,
        *columns.ignored,
        *({columns.pair} if columns.pair else ()),
    }


def _check_shape(text: str, header: list[str], rows: list[list[str]]) -> Iterator[Problem]:
    if len(set(header)) != len(header):
        yield invalid("two columns have the same name")
    if not text.endswith("\n"):
        yield invalid("its last line is not ended: it was cut")
    for line, row in enumerate([header, *rows], 1):
        if len(row) != len(header):
            yield invalid(f"row {line} has {len(row)} of {len(header)} columns")
        if any("\n" in value or "\r" in value for value in row):
            yield invalid(f"row {line} has a line break within a field: a quote is not closed?")


def _measurements(record: Mapping[str, str], columns: Columns) -> Iterator[Measurement]:
    undescriptive = _undescriptive(columns)
    name = " ".join(
        f"{k}={v.strip()}" for k, v in record.items() if k not in undescriptive and v.strip()
    )
    for metric, direction in columns.metrics.items():
        value = number(record[metric])
        std = record.get(metric + STD)
        yield Measurement(
            name=name,
            metric=metric,
            unit="",
            direction=direction,
            value=value,
            spread=None if std is None else number(std) / value if value else None,
            pair=record[columns.pair].strip() if columns.pair else None,
        )
