"""Judges results that were measured elsewhere: two sets of tables in, a comparison out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from pydantic import Field

from stackwright.importers.table import Direction, Measurement, Table
from stackwright.validation import rule
from stackwright.validation.comparability import Key, findings, key
from stackwright.validation.judgement import Verdict
from stackwright.validation.records import Arm, Value
from stackwright.validation.unpaired import Samples, evidence, largest_spread, performance

FAR = 3.0
"""A gain by more than this factor, where a file names no unit, is taken for another unit.

The least that units in use differ by, but for those of 1000 and 1024, is 8, of bits and bytes: so
a loss of up to five eighths can't hide behind them. Whoever has such a gain can name the unit.
Runs of one arm that differ by more than this between pairs are no repetitions of one job either.
"""


@dataclass(frozen=True)
class Terms:
    """What is tolerated and assumed, as fractions; `spread` None leaves it to the formats."""

    delta: float = 0.05
    spread: float | None = None


class Assumed(Value):
    """On what terms a verdict stands, as fractions.

    `spread` is the least relative standard deviation of one run that was assumed, and
    `stands_up_to` the largest at which a FAIL by the assumed spread would still be one.
    """

    delta: float
    alpha: float
    spread: float
    stated_by: Literal["user", "default"]
    stands_up_to: float | None


class Timing(Value):
    """One timing of a thing: all runs' values, and their ratio; above 1 is better.

    In pairs that is the median of the pairs' own, by which they are judged; else it is that of the
    geometric means.
    """

    timing: str
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    shown: dict[Arm, str]
    ratio: float


class Compared(Value):
    """One thing that was measured; its size in bytes.

    If there are several timings of it, the one that speaks least for a loss decides. The p-value is
    Holm's, over all things compared. `lost` has the ratio of each pair that lost more than is
    tolerated, by its name: a median says nothing of them.
    """

    name: str
    metric: str
    unit: str
    direction: Direction
    size: int | None
    verdict: Verdict
    decided_by: Timing
    timings: tuple[Timing, ...]
    test: Literal["pairs", "rank sum", "assumed spread"]
    p: float
    lost: dict[str, float]


class Comparison(Value):
    """What two sets of results say about each other; `notes` limit it."""

    schema_: Literal["stackwright/comparison/1"] = Field(alias="schema")
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    assumed: Assumed
    files: dict[Arm, tuple[str, ...]]
    compared: tuple[Compared, ...]

    def to_json(self) -> str:
        """The text that programs read: the same for equal comparisons."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


@dataclass(frozen=True)
class Thing:
    """What both arms measured: each one's runs, by timing."""

    key: Key
    baseline: Mapping[str, Sequence[Measurement]]
    candidate: Mapping[str, Sequence[Measurement]]

    @property
    def paired(self) -> bool:
        """Do the runs say to which pair they belong?"""
        return any(m.pair for runs in self.candidate.values() for m in runs)


def compare(
    baseline: Mapping[str, Table], candidate: Mapping[str, Table], terms: Terms
) -> Comparison:
    """Compare tables, by the names of their files; several of an arm are repeated runs."""
    arms: dict[Arm, Mapping[str, Table]] = {"baseline": baseline, "candidate": candidate}
    tables = [*baseline.values(), *candidate.values()]
    spread = terms.spread if terms.spread is not None else max(table.spread for table in tables)
    found = findings(arms)
    things = [] if found else _things(baseline, candidate)
    found += [("INVALID", reason) for thing in things for reason in _too_good(thing)]
    found += [] if found else [("INVALID", why) for thing in things for why in _not_repeated(thing)]
    compared = () if found else _judge(things, terms.delta, spread)
    return Comparison(
        schema="stackwright/comparison/1",
        verdict=_whole([verdict for verdict, _ in found], [one.verdict for one in compared]),
        reasons=tuple(reason for _, reason in found),
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        assumed=Assumed(
            delta=terms.delta,
            alpha=rule.ALPHA,
            spread=spread,
            stated_by="default" if terms.spread is None else "user",
            stands_up_to=_stands_up_to(compared, terms.delta),
        ),
        files={arm: tuple(files) for arm, files in arms.items()},
        compared=compared,
    )


def _whole(found: Sequence[Verdict], each: Sequence[Verdict]) -> Verdict:
    """A candidate that hung is HUNG, whatever else its log lacks; then the worst counts."""
    for verdict in ("HUNG", "INVALID", "FAIL", "INCONCLUSIVE"):
        if verdict in (*found, *each):
            return verdict
    return "PASS" if each else "INVALID"


def _things(baseline: Mapping[str, Table], candidate: Mapping[str, Table]) -> list[Thing]:
    """In the order of the candidate."""
    before, after = _grouped(baseline.values()), _grouped(candidate.values())
    return [Thing(k, before[k], after[k]) for k in after]


def _grouped(tables: Iterable[Table]) -> dict[Key, dict[str, list[Measurement]]]:
    grouped: dict[Key, dict[str, list[Measurement]]] = {}
    for table in tables:
        for m in table.measurements:
            grouped.setdefault(key(m), {}).setdefault(m.timing, []).append(m)
    return grouped


def _too_good(thing: Thing) -> Iterator[str]:
    """Milliseconds beside seconds look like a gain; in pairs, a few such rows are enough."""
    for timing in (_timing(thing, name) for name in thing.candidate):
        of = thing.candidate[timing.timing][0]
        each = (
            rule.paired_ratios(timing.candidate, timing.baseline, of.direction)
            if thing.paired
            else [timing.ratio]
        )
        if not of.unit and max(each) > FAR:
            better = f"better than the baseline by {max(each):.4g} times"
            yield f"{_what(of)}: {better}: other units?"


def _not_repeated(thing: Thing) -> Iterator[str]:
    """Pairs repeat one job: what differs by far between them is of several things, such as models.

    Of such rows each may be whatever it is, and no two of them say anything about noise.
    """
    for arm, timings in (("baseline", thing.baseline), ("candidate", thing.candidate)):
        for runs in timings.values():
            least, most = (pick(runs, key=lambda m: m.value) for pick in (min, max))
            if thing.paired and most.value > FAR * least.value:
                factor = most.value / least.value
                yield (
                    f"{_what(most)}: the {arm}'s runs differ by {factor:.3g} times"
                    f" ({least.value:.5g} in pair {least.pair}, {most.value:.5g} in pair"
                    f" {most.pair}): the column of --pair has to name the job (the run) in which"
                    " both arms were measured, not what was measured"
                )


def _what(of: Measurement) -> str:
    return " ".join(part for part in (of.name, of.metric) if part)


def _judge(things: Sequence[Thing], delta: float, spread: float) -> tuple[Compared, ...]:
    if any(thing.paired for thing in things):
        return _judge_pairs([_compared_in_pairs(thing, delta) for thing in things], delta)
    level = rule.ALPHA / len(things)
    weighed = [_weigh(thing, delta, spread, level) for thing in things]
    return tuple(
        one.model_copy(update={"p": p, "verdict": "FAIL" if p <= rule.ALPHA else "INCONCLUSIVE"})
        for one, p in zip(weighed, rule.holm([one.p for one in weighed]), strict=True)
    )


def _weigh(thing: Thing, delta: float, spread: float, level: float) -> Compared:
    """The timing that speaks least for a loss decides: if only one of two is slow, it is noise."""
    timings = [_timing(thing, name) for name in thing.candidate]
    of = [m for arm in (thing.baseline, thing.candidate) for runs in arm.values() for m in runs]
    stated = max([spread, *(m.spread for m in of if m.spread is not None)])
    found = [
        evidence(_samples(t, of[0].direction), delta=delta, spread=stated, level=level)
        for t in timings
    ]
    least = max(range(len(timings)), key=lambda i: (found[i].p, timings[i].ratio))
    return _compared(thing, timings, timings[least], found[least].test, found[least].p)


def _compared_in_pairs(thing: Thing, delta: float) -> Compared:
    timing = _timing(thing, "")
    names = sorted(m.pair or "" for m in thing.candidate[""])
    direction = thing.candidate[""][0].direction
    ratios = rule.paired_ratios(timing.candidate, timing.baseline, direction)
    timing = timing.model_copy(update={"ratio": median(ratios)})
    lost = {name: x for x, name in sorted(zip(ratios, names, strict=True)) if x < 1 - delta}
    found = _compared(thing, [timing], timing, "pairs", 1.0)
    return found.model_copy(update={"lost": lost})


def _judge_pairs(compared: Sequence[Compared], delta: float) -> tuple[Compared, ...]:
    """The gate's own rule, with one look after all pairs; too few pairs decide nothing."""
    questions = [
        rule.Question(
            rule.paired_ratios(one.decided_by.candidate, one.decided_by.baseline, one.direction),
            1 - delta,
        )
        for one in compared
    ]
    pairs = len(questions[0].samples)
    if rule.order(pairs, rule.ALPHA) == 0:
        return tuple(compared)
    decisions = rule.decide_all(questions, (pairs,))
    p_values = rule.holm([rule.sign_p_value(q.samples, q.bound) for q in questions])
    return tuple(
        one.model_copy(update={"p": p, "verdict": decision.verdict})
        for one, decision, p in zip(compared, decisions, p_values, strict=True)
    )


def _compared(
    thing: Thing,
    timings: Sequence[Timing],
    decided_by: Timing,
    test: Literal["pairs", "rank sum", "assumed spread"],
    p: float,
) -> Compared:
    """A thing before its verdict: INCONCLUSIVE."""
    name, metric, size = thing.key
    of = thing.candidate[decided_by.timing][0]
    return Compared(
        name=name,
        metric=metric,
        unit=of.unit,
        direction=of.direction,
        size=size,
        verdict="INCONCLUSIVE",
        decided_by=decided_by,
        timings=tuple(timings),
        test=test,
        p=p,
        lost={},
    )


def _timing(thing: Thing, name: str) -> Timing:
    """Runs in the order of their pairs, if they have any."""
    baseline, candidate = (
        sorted(arm[name], key=lambda m: m.pair or "") for arm in (thing.baseline, thing.candidate)
    )
    timing = Timing(
        timing=name,
        baseline=tuple(m.value for m in baseline),
        candidate=tuple(m.value for m in candidate),
        shown={"baseline": _show(baseline), "candidate": _show(candidate)},
        ratio=1.0,
    )
    return timing.model_copy(update={"ratio": _samples(timing, candidate[0].direction).ratio})


def _samples(timing: Timing, direction: Direction) -> Samples:
    return Samples(
        performance(timing.candidate, direction), performance(timing.baseline, direction)
    )


def _show(runs: Sequence[Measurement]) -> str:
    """The median run, as people read it."""
    middle = sorted(runs, key=lambda m: m.value)[(len(runs) - 1) // 2]
    return middle.shown or f"{middle.value:.5g} {middle.unit}".strip()


def _stands_up_to(compared: Sequence[Compared], delta: float) -> float | None:
    """A FAIL stands while the strongest of all comparisons reaches the strictest level."""
    assumed = [one for one in compared if one.test == "assumed spread"]
    if not any(one.verdict == "FAIL" for one in assumed):
        return None
    level = rule.ALPHA / len(compared)
    samples = [_samples(one.decided_by, one.direction) for one in assumed]
    return max(largest_spread(s, delta=delta, level=level) for s in samples)
