"""Time of repeated work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")


def median_seconds(work: Callable[[], object], repetitions: int, warm_up: int = 1) -> float:
    """Give the median time of `work`, after untimed repetitions that fill caches and pools."""
    return median(verified_seconds(work, lambda _: None, repetitions, warm_up))


def verified_seconds(
    work: Callable[[], Result],
    verify: Callable[[Result], None],
    repetitions: int,
    warm_up: int = 1,
) -> list[float]:
    """Time `work` again and again, and look at each of its results while no clock runs.

    Results of the untimed repetitions are verified as well.
    """
    seconds = []
    for _ in range(warm_up + repetitions):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
        verify(result)
    return seconds[warm_up:]


def percentile(seconds: Sequence[float], percent: float) -> float:
    """Give the smallest of the times that `percent` of them do not exceed (nearest rank)."""
    return sorted(seconds)[max(math.ceil(percent / 100 * len(seconds)), 1) - 1]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Say how long it took, in microseconds; of fewer than 100 times p99 is the longest."""
    return {
        "least us": min(seconds) * 1e6,
        "p50 us": percentile(seconds, 50) * 1e6,
        "p99 us": percentile(seconds, 99) * 1e6,
        "repetitions": len(seconds),
    }
