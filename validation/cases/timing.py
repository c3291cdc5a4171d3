"""Time of repeated work."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def median_seconds(work: Callable[[], object], repetitions: int, warm_up: int = 1) -> float:
    """Give the median time of `work`, after untimed repetitions that fill caches and pools."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return median(seconds)
