"""What can be said of runs that were not measured in pairs: whether a loss is beyond doubt.

Runs of two jobs, days or nodes differ by more than the software. So nothing here ever says PASS:
the question is only whether the candidate is slower than tolerated by more than runs differ anyway.
Several runs of each arm answer it by the exact rank-sum test, which assumes nothing about the noise
but that runs are independent (Mann and Whitney, Ann. Math. Statist. 18, 1947). Too few, down to one
run each, answer it only under an assumed spread: the relative standard deviation of one run, of
values that are log-normal. docs/importing.md says where the defaults come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import Literal

EXACT = 900
"""Largest product of the numbers of runs whose distribution is counted out; normal beyond."""


@dataclass(frozen=True)
class Samples:
    """What each run performed, turned so that higher is better; any unit, all positive."""

    candidate: tuple[float, ...]
    baseline: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Candidate over baseline, of the geometric means."""
        return math.exp(_mean_log(self.candidate) - _mean_log(self.baseline))


@dataclass(frozen=True)
class Evidence:
    """One-sided p-value of "the candidate lost no more than tolerated", and what gave it."""

    p: float
    test: Literal["rank sum", "assumed spread"]
    spread: float | None


def performance(values: Sequence[float], direction: str) -> tuple[float, ...]:
    """Values of a metric, turned so that higher is better."""
    return tuple(values) if direction == "higher" else tuple(1 / value for value in values)


def evidence(samples: Samples, *, delta: float, spread: float, level: float) -> Evidence:
    """How strongly do the samples speak for a loss of more than delta?

    Args:
        samples: at least one run of each arm.
        delta: the loss that is tolerated, as a fraction.
        spread: relative standard deviation of one run that is assumed at least.
        level: the p-value that the strictest comparison needs; the ranks are asked if, with so
            many runs, they can reach it at all. The choice depends on no value.
    """
    candidate, baseline = len(samples.candidate), len(samples.baseline)
    if 1 / math.comb(candidate + baseline, baseline) <= level:
        tolerated = tuple((1 - delta) * value for value in samples.baseline)
        return Evidence(rank_sum_p_value(samples.candidate, tolerated), "rank sum", None)
    seen = max(spread, pooled_spread(samples))
    error = seen * math.sqrt(1 / candidate + 1 / baseline)
    excess = math.log(samples.ratio) - math.log(1 - delta)
    p = NormalDist().cdf(excess / error) if error else float(excess >= 0)
    return Evidence(p, "assumed spread", seen)


def largest_spread(samples: Samples, *, delta: float, level: float) -> float:
    """Up to which spread of one run would the samples still reach this level? 0 if at none."""
    runs = math.sqrt(1 / len(samples.candidate) + 1 / len(samples.baseline))
    excess = math.log(1 - delta) - math.log(samples.ratio)
    return max(0.0, excess / (NormalDist().inv_cdf(1 - level) * runs))


def pooled_spread(samples: Samples) -> float:
    """Standard deviation of the logarithms within the arms; 0 if each has one run."""
    arms = [[math.log(v) for v in arm] for arm in (samples.candidate, samples.baseline)]
    squares = [(len(arm) - 1) * stdev(arm) ** 2 for arm in arms if len(arm) > 1]
    degrees = sum(len(arm) - 1 for arm in arms)
    return math.sqrt(math.fsum(squares) / degrees) if degrees else 0.0


def rank_sum_p_value(candidate: Sequence[float], baseline: Sequence[float]) -> float:
    """One-sided p-value of "candidates are not below"; ties count for the candidate."""
    wins = sum(c >= b for c in candidate for b in baseline)
    n, m = len(candidate), len(baseline)
    if n * m > EXACT:
        deviation = math.sqrt(n * m * (n + m + 1) / 12)
        return NormalDist().cdf((wins + 0.5 - n * m / 2) / deviation)
    counts = _orderings(n, m)
    return sum(counts[: wins + 1]) / math.comb(n + m, n)


@lru_cache(maxsize=64)
def _orderings(n: int, m: int) -> tuple[int, ...]:
    """In how many orders of n and m runs do the n win 0, 1, ... n*m of the comparisons?"""
    if n == 0 or m == 0:
        return (1,)
    # The greatest of all is one of the n, which wins m times, or one of the m.
    counts = [0] * (n * m + 1)
    for wins, times in enumerate(_orderings(n - 1, m)):
        counts[wins + m] += times
    for wins, times in enumerate(_orderings(n, m - 1)):
        counts[wins] += times
    return tuple(counts)


def _mean_log(values: Sequence[float]) -> float:
    return fmean(math.log(value) for value in values)
