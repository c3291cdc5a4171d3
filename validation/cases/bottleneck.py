"""What holds training back: reading, computing, or what joins them. Standard library only."""

from __future__ import annotations

from typing import NamedTuple

# Times that differ by less are taken as equal: single measurements differ as much.
ALIKE = 0.1


class Epoch(NamedTuple):
    """Seconds of the same samples three ways.

    Args:
        reading: only read, thrown away.
        computing: only trained on, from memory.
        full: read and trained on.
    """

    reading: float
    computing: float
    full: float


def bottleneck(epoch: Epoch) -> str:
    """Name what would have to be faster for training to be faster.

    Reading and computing side by side take as long as the longer of the two; one after the other as
    long as both. Beyond that, neither is the reason: the samples' way from the one to the other is.
    """
    reading, computing, full = epoch
    if full > (1 + ALIKE) * (reading + computing):
        return "hand-over"
    if reading > (1 + ALIKE) * computing:
        return "reading"
    if computing > (1 + ALIKE) * reading:
        return "computing"
    return "reading and computing alike"


def overlapped(epoch: Epoch) -> float:
    """Give the share of the shorter of reading and computing that the longer one hides, 0 to 1."""
    hidden = epoch.reading + epoch.computing - epoch.full
    return min(max(hidden / min(epoch.reading, epoch.computing), 0.0), 1.0)


def repaid_after(staging: float, from_shared: float, from_local: float) -> float | None:
    """Give the number of epochs after which staging has saved what it took; None if it never does.

    Args:
        staging: seconds of copying to node-local storage.
        from_shared, from_local: seconds of reading an epoch.
    """
    saved = from_shared - from_local
    return staging / saved if saved > 0 else None


def hidden(computing: float, communicating: float, both: float) -> float:
    """Give the share of communication's seconds that computing hides, 0 to 1."""
    return min(max((computing + communicating - both) / communicating, 0.0), 1.0)
