"""May two sets of imported results be compared at all?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain, combinations

from stackwright.importers.table import Measurement, Table
from stackwright.validation.judgement import Verdict
from stackwright.validation.records import Arm

Key = tuple[str, str, int | None]
"""What was measured: name, metric, size in bytes."""

Arms = Mapping[Arm, Mapping[str, Table]]
"""Each arm's tables, by the names of their files."""


def key(m: Measurement) -> Key:
    """What a measurement is of."""
    return m.name, m.metric, m.size


def repeated(arms: Arms) -> tuple[str, str] | None:
    """Two files, or the two arms, that hold the very same measurements, in whatever order."""
    files = [(file, [table]) for tables in arms.values() for file, table in tables.items()]
    whole = [(f"the {arm}", [*tables.values()]) for arm, tables in arms.items()]
    return next(
        (
            (one, other)
            for (one, first), (other, second) in chain(
                combinations(files, 2), combinations(whole, 2)
            )
            if _measured(first) == _measured(second) != frozenset()
        ),
        None,
    )


def _measured(tables: Sequence[Table]) -> frozenset[tuple[str | None, Key, str, float]]:
    return frozenset((m.pair, key(m), m.timing, m.value) for t in tables for m in t.measurements)


def findings(arms: Arms) -> list[tuple[Verdict, str]]:
    """Why the files can't be compared; the problems of each before those between them.

    Only a candidate is HUNG: a baseline that hung is none, so the comparison is INVALID.
    """
    return list(_problems(arms)) or list(_mismatches(arms))


def _problems(arms: Arms) -> Iterator[tuple[Verdict, str]]:
    for arm, files in arms.items():
        for file, table in files.items():
            for problem in table.problems:
                verdict: Verdict = problem.verdict if arm == "candidate" else "INVALID"
                yield verdict, f"{arm} {file}: {problem.what}"


def _mismatches(arms: Arms) -> Iterator[tuple[Verdict, str]]:
    tables = [
        (f"{arm} {file}", table) for arm, files in arms.items() for file, table in files.items()
    ]
    if unlike := [*_unlike_benchmarks(tables)]:
        yield "INVALID", unlike[0]
        return
    reasons = chain(
        _unlike_setups(tables),
        _unlike_things(tables),
        _unlike_columns(tables),
        _unlike_pairs(arms),
        _copies(arms),
    )
    yield from (("INVALID", why) for why in reasons)


def _unlike_benchmarks(tables: Sequence[tuple[str, Table]]) -> Iterator[str]:
    (first_file, first), *others = tables
    for file, table in others:
        if first.format != table.format:
            yield (
                "they are results of different benchmarks:"
                f" {first.format} in {first_file}, {table.format} in {file}"
            )


def _unlike_setups(tables: Sequence[tuple[str, Table]]) -> Iterator[str]:
    (first_file, first), *others = tables
    for file, table in others:
        for what in sorted({*first.setup} & {*table.setup}):
            if first.setup[what] != table.setup[what]:
                yield (
                    f"not the same {what}: {first.setup[what] or 'none'} in {first_file},"
                    f" {table.setup[what] or 'none'} in {file}"
                )


def _unlike_things(tables: Sequence[tuple[str, Table]]) -> Iterator[str]:
    things = [{(key(m), m.timing) for m in table.measurements} for _, table in tables]
    every = set().union(*things)
    if not every:
        yield "nothing was measured"
    for (file, _), measured in zip(tables, things, strict=True):
        if missing := sorted(every - measured, key=str):
            yield f"{file} lacks {_listed([_named(*thing) for thing in missing])}"


def _unlike_columns(tables: Sequence[tuple[str, Table]]) -> Iterator[str]:
    """Columns such as a date, for which no row of one file has its like in another."""
    told: set[str] = set()
    for (file, table), (other_file, other) in combinations(tables, 2):
        for column in sorted((table.described.keys() & other.described.keys()) - told):
            if table.described[column].isdisjoint(other.described[column]):
                told.add(column)
                yield (
                    f"{file} and {other_file} have no {column} in common: --ignore {column}"
                    " if it doesn't say what was measured"
                )


def _unlike_pairs(arms: Arms) -> Iterator[str]:
    """Has each pair one run of each arm, for all things alike?"""
    pairs: dict[tuple[str, Key, str], list[str | None]] = {}
    for arm, files in arms.items():
        for table in files.values():
            for m in table.measurements:
                pairs.setdefault((arm, key(m), m.timing), []).append(m.pair)
    named = [sorted(map(str, runs)) for runs in pairs.values() if set(runs) != {None}]
    if any(len(set(runs)) != len(runs) for runs in named):
        yield "a pair has more than one run of an arm"
    elif any(runs != named[0] for runs in named):
        yield "the arms, or the metrics, do not have the same pairs"


def _copies(arms: Arms) -> Iterator[str]:
    """Runs or pairs with the same value of all that was measured: one, that is written twice.

    Where figures have few digits an arm may well have the same value in two pairs, but not in all.
    """
    runs = {arm: _runs([*tables.values()]) for arm, tables in arms.items()}
    paired = any(m.pair for ts in arms.values() for t in ts.values() for m in t.measurements)
    pairs = {
        pair: frozenset((arm, runs[arm].get(pair)) for arm in runs) for pair in runs["candidate"]
    }
    if paired and (names := _alike(pairs)):
        yield _copied("pairs", names)
        return
    for arm, of_arm in runs.items():
        names = _alike(of_arm)
        if len(names) > 1 and (not paired or len(names) == len(of_arm)):
            yield _copied(f"the {arm}'s runs", names)


def _runs(tables: Sequence[Table]) -> dict[str, frozenset[Hashable]]:
    """What each run of an arm has measured, by its pair, else by its number."""
    times: Counter[tuple[Key, str]] = Counter()
    runs: dict[str, set[Hashable]] = {}
    for m in (m for table in tables for m in table.measurements):
        times[key(m), m.timing] += 1
        name = m.pair or f"{times[key(m), m.timing]}"
        runs.setdefault(name, set()).add((key(m), m.timing, m.value))
    return {name: frozenset(measured) for name, measured in runs.items()}


def _alike(runs: Mapping[str, Hashable]) -> list[str]:
    """The first runs that are equal; none if all differ."""
    groups: dict[Hashable, list[str]] = {}
    for name, measured in runs.items():
        groups.setdefault(measured, []).append(name)
    return next((names for names in groups.values() if len(names) > 1), [])


def _copied(what: str, names: Sequence[str]) -> str:
    return (
        f"{what} {_listed(names)} have the very same values: one measurement, written"
        f" {len(names)} times? if they are several, give more digits"
    )


def _named(thing: Key, timing: str) -> str:
    name, metric, size = thing
    at = "" if size is None else f"at {size} B"
    return " ".join(part for part in (name, metric, at, timing) if part)


def _listed(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:3]), len(names[3:])
    return f"{shown} and {more} more" if more else shown
