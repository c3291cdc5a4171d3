"""After how many samples a training reaches its target, and how many are usual.

MLPerf's reference convergence points refuse a training that needs fewer samples than its reference
(https://github.com/mlcommons/training_policies, "RCPs"): learning suspiciously fast is a mistake in
the data or the score as surely as learning slowly is one in the training. Here the bound has two
sides. Samples to target are positive and skewed, so their logarithms are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

REFERENCE_RUNS = 10
# Student's t of 9 degrees of freedom, two-sided at 0.1 %: a sound stack fails once in a thousand.
T_QUANTILE = 4.781


def crossing(x: Sequence[float], y: Sequence[float], target: float) -> float:
    """Give the x at which y first reaches the target, between two points by a straight line.

    Infinite if it never does. Whether y has to rise or to fall is told by where it begins.
    """
    sign = 1 if target >= y[0] else -1
    for i in range(len(x)):
        if sign * (y[i] - target) >= 0:
            if i == 0:
                return x[0]
            return x[i - 1] + (x[i] - x[i - 1]) * (target - y[i - 1]) / (y[i] - y[i - 1])
    return math.inf


def geometric_mean(values: Sequence[float]) -> float:
    """Give exp(mean(ln)), also where a value is 0 or infinite."""
    if 0 in values:
        return 0.0
    return math.exp(mean(map(math.log, values))) if all(map(math.isfinite, values)) else math.inf


def usual(reference: Sequence[float], runs: int) -> tuple[float, float]:
    """Give the interval in which the geometric mean of `runs` further seeds is expected.

    Both ends are nan without a reference: nothing is usual then.

    Raises:
        ValueError: if the reference is of another number of runs than ten.
    """
    if not reference:
        return math.nan, math.nan
    if len(reference) != REFERENCE_RUNS:
        raise ValueError(f"a reference of {len(reference)} runs, not {REFERENCE_RUNS}")
    logs = [math.log(samples) for samples in reference]
    reach = T_QUANTILE * stdev(logs) * math.sqrt(1 / REFERENCE_RUNS + 1 / runs)
    return math.exp(mean(logs) - reach), math.exp(mean(logs) + reach)
