"""The common table that every importer fills."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

_RANK_LABEL = re.compile(r"^\s*\d+: ?")

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Measurement:
    """One value of one run.

    `name`, `metric` and `size` (bytes) say what was measured. Values that agree in these and in
    `timing` are repetitions. `timing` tells apart several timings of the same thing in one run,
    such as nccl-tests' out-of-place and in-place. `spread` is the relative standard deviation that
    the file states for this value. `pair` names the job in which it was measured beside the other
    arm's. `shown` is the same value in the unit that people of the field read.
    """

    name: str
    metric: str
    unit: str
    direction: Direction
    value: float
    size: int | None = None
    timing: str = ""
    spread: float | None = None
    pair: str | None = None
    shown: str = ""


@dataclass(frozen=True)
class Problem:
    """Why a file can't be judged."""

    verdict: Literal["INVALID", "HUNG"]
    what: str


@dataclass(frozen=True)
class Table:
    """What a file says.

    `spread` is the relative standard deviation from run to run that is assumed of this kind of
    measurement where nothing better is known (docs/importing.md gives the sources). `setup` must be
    equal in files that are compared. `notes` limit what can be concluded. `described` has the
    values of each column that says what was measured, where columns do.
    """

    format: str
    spread: float
    measurements: tuple[Measurement, ...] = ()
    problems: tuple[Problem, ...] = ()
    setup: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    described: Mapping[str, frozenset[str]] = field(default_factory=dict)


def invalid(what: str) -> Problem:
    """A problem that makes a file INVALID."""
    return Problem("INVALID", what)


def number(text: object) -> float:
    """The number that a field holds; NaN if it holds none, or has Python's underscores."""
    try:
        return float(str(text).replace("_", "?"))
    except ValueError:
        return math.nan


def is_measured(value: float) -> bool:
    """Is it a time or a rate in any sensible unit? Zero, negative and not finite are not."""
    return 1e-30 < value < 1e30  # noqa: PLR2004 - so that no ratio overflows


def lines(text: str) -> Iterator[str]:
    """The lines of a log, without the rank that `srun -l` writes before each."""
    for line in text.splitlines():
        yield _RANK_LABEL.sub("", line)
