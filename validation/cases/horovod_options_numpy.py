"""What Horovod's ranks hold, what has to come of it, and how that is compared.

Most of it are whole numbers, and the ranks are two or four: sums and means are exact, also in
float16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from emit import listed
from frameworks import Findings

Arrays = Sequence[np.ndarray]
Ways = Mapping[str, Arrays]
"""The same arrays, by the way in which a framework came to them."""

SIZES = (5, 12, 1, 1000, 24)
LARGEST = 256  # that of four ranks is still exact in float16, which has 11 bits
ROWS, WIDTH = 7, 3  # of a table that samples look up
# Reassociation of sums: some tens of units in the last place.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
# Unit roundoff of IEEE 754's binary16, and half of its smallest positive number.
ROUNDOFF, SMALLEST = 2.0**-11, 2.0**-25


def drawn(rank: int, batch: int = 0) -> list[np.ndarray]:
    """Draw vectors of whole numbers, in float32."""
    rng = np.random.default_rng([23, rank, batch])
    return [rng.integers(-LARGEST, LARGEST + 1, size).astype(np.float32) for size in SIZES]


def lookups(rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw which rows a rank looks up, as many more as its number, and the gradient of each.

    The first row is looked up twice, and by all.
    """
    rng = np.random.default_rng([29, rank])
    rows = np.array([0, 0, *rng.integers(0, ROWS, rank + 1)], np.int32)
    return rows, rng.integers(-9, 10, (rows.size, WIDTH)).astype(np.float32)


def table(rank: int) -> np.ndarray:
    """Give the whole table's gradient."""
    dense = np.zeros((ROWS, WIDTH), np.float32)
    np.add.at(dense, *lookups(rank))
    return dense


def piece(sender: int, receiver: int) -> np.ndarray:
    """Give the rows that a rank sends to another, none for some."""
    rows = range((sender + 2 * receiver) % 3)
    return np.array([[sender, receiver, row] for row in rows], np.int64).reshape(-1, 3)


def nested(rank: int) -> dict[str, Any]:
    """Give an object that each rank has another of, also by its size."""
    parts = [None, ("a", rank / 3), {rank: b"\0" * rank}]
    return {"rank": rank, "parts": parts, "text": "ä" * rank}


def total(held: Sequence[Arrays]) -> list[np.ndarray]:
    """Add what ranks hold, in float64."""
    return [np.sum(each, axis=0, dtype=np.float64) for each in zip(*held, strict=True)]


def mean(held: Sequence[Arrays]) -> list[np.ndarray]:
    """Average what ranks hold."""
    return [each / len(held) for each in total(held)]


def adasum(held: Arrays) -> np.ndarray:
    """Combine a vector of all ranks by pairs, then pairs of pairs (Maleki et al. 2020,
    arXiv:2006.02924)."""
    if len(held) == 1:
        return held[0].astype(np.float64)
    half = len(held) // 2
    a, b = adasum(held[:half]), adasum(held[half:])
    common = a @ b / 2
    combined: np.ndarray = (1 - common / (a @ a)) * a + (1 - common / (b @ b)) * b
    return combined


def bound_in_float16(held: np.ndarray) -> np.ndarray:
    """Bound the error of a mean over ranks (the first axis) whose numbers are sent in float16.

    Each number is rounded, each sum of two, and the mean; where float16 is subnormal the first and
    the last are rounded to a multiple of its smallest number.
    """
    relative = (1 + ROUNDOFF) ** (len(held) + 1) - 1
    bound: np.ndarray = relative * np.abs(held).mean(axis=0, dtype=np.float64) + 2 * SMALLEST
    return bound


def check_equal(found: Findings, name: str, got: Ways, wanted: Arrays) -> None:
    """Compare every element."""
    wrong = [
        f"{way} {index}"
        for way, arrays in got.items()
        for index, pair in enumerate(zip(arrays, wanted, strict=True))
        if not np.array_equal(*pair)
    ]
    found.check(name, not wrong, f"{len(wrong)} wrong of {len(wanted)} each: {listed(wrong)}")


def check_close(found: Findings, name: str, got: Ways, wanted: Arrays, dtype: str) -> None:
    """Compare what is rounded, relative to the largest element of each array."""
    errors = [
        np.abs(array - exact).max() / np.abs(exact).max()
        for arrays in got.values()
        for array, exact in zip(arrays, wanted, strict=True)
    ]
    error, limit = np.max(errors), TOLERANCE[dtype]
    found.check(name, error <= limit, f"max relative error {error:.1e}, limit {limit:.0e}")
