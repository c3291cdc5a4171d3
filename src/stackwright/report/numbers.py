"""Numbers as they stand in JSON (where some are strings), and as people read them."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

Matrix = list[list[float]]


def finite(value: Any) -> float | None:
    """The number, or None for what cannot be drawn: null, text, a boolean, nan, infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_matrix(value: Any) -> TypeGuard[Matrix]:
    """Whether a JSON value is a rectangular, non-empty list of lists of finite numbers."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, list) and row and len(row) == len(value[0]) for row in value)
        and all(finite(cell) is not None for row in value for cell in row)
    )


def typeset(number: str) -> str:
    """A formatted number with a true minus sign, and thin spaces between thousands."""
    return number.replace(",", "\u2009").replace("-", "\u2212")


def figure(value: Any) -> str:
    """Four significant digits, grouped by thin spaces; what is not a number, as it stands."""
    number = finite(value)
    if number is None:
        return "\u2013" if value is None else str(value)
    if number and not 1e-3 <= abs(number) < 1e7:  # noqa: PLR2004
        return typeset(f"{number:.3g}")
    decimals = max(0, 3 - math.floor(math.log10(abs(number)))) if number else 0
    text = f"{number:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if isinstance(value, int) and "." in text else text
    return typeset(text)


def threshold(value: float) -> str:
    """A floor or a theta: three significant digits at most."""
    return f"{value:.3g}"


def beside(value: float, bound: float) -> str:
    """A number as it stands beside a threshold: on the same side of it as it is.

    Three decimals and two significant digits, and as many more as that takes.
    """
    shown = float(threshold(bound))
    decimals = max(3, 1 - math.floor(math.log10(abs(value)))) if value else 3
    while _side(float(f"{value:.{decimals}f}"), shown) != _side(value, shown):
        decimals += 1
    return f"{value:.{decimals}f}"


def _side(value: float, of: float) -> int:
    return (value > of) - (value < of)


def seconds(value: float) -> str:
    """A duration: ``7.1 s``, ``2 min 05 s``."""
    if value < 60:  # noqa: PLR2004
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"
