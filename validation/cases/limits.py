"""Deviations from definitions, and how much of them rounding explains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from emit import listed

# Rounding of sums of some hundred random terms, relative to the largest result, is 2e-6 at most for
# float32 and 1e-15 for float64; a result that is stored in bfloat16 is off by up to 2^-8 of itself.
LIMITS = {"float32": 2e-5, "float64": 1e-13, "bfloat16": 2e-2}


class Error(NamedTuple):
    """A deviation, nan or infinite where the result is no number, and what rounding explains."""

    what: str
    value: float
    limit: float

    def __str__(self) -> str:
        """Tell it as a check's detail does."""
        if not self.limit:
            return f"{self.what}: {'wrong' if self.value else 'right'}"
        return f"{self.what}: error {self.value:.1e}, limit {self.limit:.0e}"


def exact(what: str, same: bool) -> Error:
    """Say that something holds, or doesn't."""
    return Error(what, 0.0 if same else 1.0, 0.0)


def judged(errors: Iterable[Error]) -> tuple[bool, str]:
    """Say whether all are within their limits, and name those beyond, or the one nearest to it."""
    found = list(errors)
    wrong = [error for error in found if not error.value <= error.limit]
    nearest = max(found, key=lambda error: error.value / (error.limit or 1))
    return bool(found) and not wrong, listed(wrong or [nearest])
