"""The decision rule: when do paired runs say PASS, FAIL, or "measure on"?

Standard library only, and no import from this package: the in-job driver carries this file along
to compute nodes where nothing else of Stackwright is installed.

The median of samples x_1..x_n has exact, distribution-free confidence bounds in the order
statistics: L = x_(k) and U = x_(n+1-k), with k the largest integer for which
P(Binomial(n, 1/2) <= k-1) <= alpha (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2).
A question is whether the median lies above a bound: L > bound says PASS, U < bound says FAIL, and
anything else waits for the next look. The looks are fixed before the first run; each may spend
`ALPHA / len(looks)` a side, so the chance of a wrong PASS over all looks is at most `ALPHA`.

docs/statistics.md shows by simulation what that means on noisy machines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal

ALPHA = 0.05
"""Probability of a wrong PASS, and of a wrong FAIL, that a question spends over all its looks."""

Verdict = Literal["PASS", "FAIL", "CONTINUE", "INCONCLUSIVE"]


@dataclass(frozen=True)
class Question:
    """Is the median of `samples` (dimensionless, in the order of measurement) above `bound`?"""

    samples: tuple[float, ...]
    bound: float


@dataclass(frozen=True)
class Decision:
    """The answer after the first `n` samples, with the median's bounds at that look.

    CONTINUE means that another look is due; before the first look `n` is 0 and the bounds are
    infinite.
    """

    verdict: Verdict
    n: int
    lower: float
    upper: float
    median: float


UNSEEN = Decision("CONTINUE", 0, -math.inf, math.inf, math.nan)


def binomial_tail(n: int, successes: int) -> float:
    """P(Binomial(n, 1/2) <= successes)."""
    return float(sum(math.comb(n, i) for i in range(successes + 1)) / 2**n)


@lru_cache(maxsize=256)
def order(n: int, alpha: float) -> int:
    """The k whose order statistics x_(k), x_(n+1-k) bound the median; 0 when n is too small."""
    k = 0
    while binomial_tail(n, k) <= alpha:
        k += 1
    return k


def median_bounds(samples: Sequence[float], alpha: float) -> tuple[float, float]:
    """Exact lower and upper bound of the median, each wrong with probability <= alpha."""
    k = order(len(samples), alpha)
    if k == 0:
        return -math.inf, math.inf
    ranked = sorted(samples)
    return ranked[k - 1], ranked[-k]


def sign_p_value(samples: Sequence[float], bound: float) -> float:
    """One-sided p-value of "the median is at least `bound`"; small when most samples lie below."""
    return binomial_tail(len(samples), sum(x >= bound for x in samples))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given (Holm, Scand. J. Statist. 6, 1979)."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, i in enumerate(ascending):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def check_looks(looks: Sequence[int]) -> None:
    """Raise ValueError unless the looks increase and each is large enough to decide anything."""
    if not looks:
        raise ValueError("no looks: give at least one number of pairs, such as 8")
    if any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"looks must increase, not {list(looks)}")
    if order(looks[0], ALPHA / len(looks)) == 0:
        raise ValueError(f"the first look, {looks[0]}, is too small to decide; 8 is enough")


def decide(samples: Sequence[float], bound: float, looks: Sequence[int]) -> Decision:
    """Answer one question; see `decide_all`."""
    return decide_all([Question(tuple(samples), bound)], looks)[0]


def decide_all(questions: Sequence[Question], looks: Sequence[int]) -> list[Decision]:
    """Answer questions that are measured together; one decision each, in the order given.

    Every look that the samples reach is taken in turn on the samples up to it, and the first look
    that decides a question settles it. A FAIL must survive Holm's correction over all questions,
    so that many metrics do not block a release by chance; a PASS needs none, as all must pass.

    Raises:
        ValueError: the looks are unusable (`check_looks`).
    """
    check_looks(looks)
    decisions = [UNSEEN] * len(questions)
    p_values = [1.0] * len(questions)
    measured = min((len(q.samples) for q in questions), default=0)
    for n in (look for look in looks if look <= measured):
        waiting = [i for i, d in enumerate(decisions) if d.verdict == "CONTINUE"]
        for i in waiting:
            seen = questions[i].samples[:n]
            p_values[i] = min(1.0, len(looks) * sign_p_value(seen, questions[i].bound))
        adjusted = holm(p_values)
        for i in waiting:
            decisions[i] = _look(questions[i], n, looks, failed=adjusted[i] <= ALPHA)
    return decisions


def _look(question: Question, n: int, looks: Sequence[int], *, failed: bool) -> Decision:
    """The decision on the first n samples."""
    seen = question.samples[:n]
    lower, upper = median_bounds(seen, ALPHA / len(looks))
    verdict: Verdict = "INCONCLUSIVE" if n == looks[-1] else "CONTINUE"
    if lower > question.bound:
        verdict = "PASS"
    elif failed:
        verdict = "FAIL"
    return Decision(verdict, n, lower, upper, median(seen))


def paired_ratios(
    candidate: Sequence[float], baseline: Sequence[float], direction: str
) -> tuple[float, ...]:
    """Candidate over baseline, pair by pair, turned so that above 1 is better.

    Raises:
        ValueError: a value is not positive and finite, or the arms differ in length.
    """
    return _ratios(candidate, baseline, direction)


def efficiencies(
    values: Sequence[float], probes: Sequence[float], direction: str
) -> tuple[float, ...]:
    """Fraction of the roofline that each run reached; 1 is the ceiling.

    Raises:
        ValueError: as `paired_ratios`.
    """
    return _ratios(values, probes, direction)


def _ratios(
    values: Sequence[float], references: Sequence[float], direction: str
) -> tuple[float, ...]:
    above, below = {"higher": (values, references), "lower": (references, values)}[direction]
    ratios = tuple(a / b if b > 0 else math.nan for a, b in zip(above, below, strict=True))
    if not all(0 < r < math.inf for r in ratios):
        raise ValueError("a ratio is not positive and finite")
    return ratios


def questions(
    *,
    direction: str,
    delta: float,
    floor: float | None,
    candidate: Sequence[float],
    baseline: Sequence[float] | None,
    probes: Sequence[float],
) -> dict[str, Question]:
    """What one metric is asked: `relative` when there is a baseline, `absolute` with a roofline.

    Args:
        direction: whether `higher` or `lower` values are better.
        delta: the loss against the baseline that is tolerated, as a fraction.
        floor: the least fraction of the roofline, or None without one.
        candidate: values in the order of the pairs, in the metric's unit.
        baseline: the same of the released stack; None when nothing is released yet.
        probes: the roofline measured in each of the candidate's runs, in the same unit.
    """
    asked = {}
    if baseline is not None:
        asked["relative"] = Question(paired_ratios(candidate, baseline, direction), 1 - delta)
    if floor is not None:
        asked["absolute"] = Question(efficiencies(candidate, probes, direction), floor)
    return asked


def lag1(samples: Sequence[float]) -> float:
    """Lag-1 autocorrelation; 0 when the samples don't vary. Above 0.3, spread the pairs out."""
    if not samples:
        return 0.0
    mean = fmean(samples)
    off = [x - mean for x in samples]
    variance = sum(d * d for d in off)
    return sum(a * b for a, b in pairwise(off)) / variance if variance else 0.0


def pairs_wanted(case: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> int:
    """How many pairs of a case are wanted in all, given its runs so far.

    Equal to the number of pairs begun when it is time to stop: every question of every metric is
    decided, the last look is reached, or a run is spoiled, as nothing can make the case pass then.
    A case without looks wants one. The gate holds results to the same count, so that a driver can
    neither stop early nor measure on until it likes the outcome.

    Args:
        case: an entry of job.json's `cases`.
        runs: this case's lines of results.jsonl, in any order.
    """
    looks = case["looks"]
    if not looks:
        return 1
    begun = len({run["pair"] for run in runs})
    try:
        if any(_spoiled(run) for run in runs):
            return begun
        asked = [q for metric in case["metrics"] for q in _asked(metric, case["argv"], runs)]
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return begun
    decisions = decide_all(asked, looks)
    if all(d.verdict != "CONTINUE" for d in decisions):
        return max((d.n for d in decisions), default=looks[0])
    measured = len(asked[0].samples)
    return next((look for look in looks if look > measured), begun)


def _spoiled(run: Mapping[str, Any]) -> bool:
    ended = run["exit"]
    clean = ended["code"] == 0 and ended["signal"] is None and not ended["timed_out"]
    return not clean or any(line["t"] == "check" and not line["ok"] for line in _lines(run))


def _lines(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [line for rank in run["ranks"] for line in rank]


def _asked(
    metric: Mapping[str, Any], arms: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]
) -> list[Question]:
    """The questions of one metric over the pairs in which every arm has run."""
    by_pair = {arm: {run["pair"]: run for run in runs if run["arm"] == arm} for arm in arms}
    complete = sorted(set.intersection(*(set(pairs) for pairs in by_pair.values())))
    done = {arm: [pairs[i] for i in complete] for arm, pairs in by_pair.items()}
    values = {
        arm: [_reading(run, "metric", metric["name"]) for run in of_arm]
        for arm, of_arm in done.items()
    }
    roofline = metric["roofline"]
    probes = [_reading(run, "probe", roofline) for run in done["candidate"]] if roofline else []
    if any(probe < metric["roofline_floor"] for probe in probes):
        raise ValueError(f"probe {roofline} is below its own floor")
    asked = questions(
        direction=metric["direction"],
        delta=metric["delta"],
        floor=metric["floor"],
        candidate=values["candidate"],
        baseline=values.get("baseline"),
        probes=probes,
    )
    return list(asked.values())


def _reading(run: Mapping[str, Any], kind: str, name: str) -> float:
    """The one value that a run emitted under a name; ValueError unless there is just one."""
    (value,) = (ln["value"] for ln in _lines(run) if ln["t"] == kind and ln["name"] == name)
    return float(value)
