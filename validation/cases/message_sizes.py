"""What is sent when communication is timed, and what its time means. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SMALLEST = 8
STEP = 8
# Messages up to the first size take microseconds, and are timed several at a time.
SMALL, MEDIUM = 32 << 10, 2 << 20


class Message(NamedTuple):
    """A message size, and how often it is timed: `rounds` times, `at_once` each time."""

    bytes: int
    at_once: int
    rounds: int


def messages(largest: int) -> list[Message]:
    """Give message sizes from 8 bytes on, each eight times the one before, up to the largest."""
    sizes = []
    size = SMALLEST
    while size < largest:
        sizes.append(size)
        size *= STEP
    return [message(size) for size in (*sizes, largest)]


def message(size: int) -> Message:
    """Time small messages often, as they are at the mercy of whatever else runs."""
    if size <= SMALL:
        return Message(size, at_once=8, rounds=40)
    if size <= MEDIUM:
        return Message(size, at_once=2, rounds=9)
    return Message(size, at_once=1, rounds=3)


# What the links carry of each byte of a collective, n ranks: "bus bandwidth" is this times the size
# over the time, and does not depend on n if the hardware is used well. The size is that of the
# larger of a rank's two buffers. NVIDIA, nccl-tests, doc/PERFORMANCE.md.
BUS: dict[str, Callable[[int], float]] = {
    "allreduce": lambda n: 2 * (n - 1) / n,
    "allgather": lambda n: (n - 1) / n,
    "reduce_scatter": lambda n: (n - 1) / n,
    "broadcast": lambda _: 1.0,
    "alltoall": lambda n: (n - 1) / n,
}


def bandwidths(collective: str, size: int, seconds: float, world: int) -> tuple[float, float]:
    """Give algorithm and bus bandwidth in GB/s."""
    algorithm = size / seconds / 1e9
    return algorithm, algorithm * BUS[collective](world)


def whole_parts(size: int, element: int, world: int) -> int:
    """Give the number of elements nearest above a size that divides into a part for each rank."""
    return -(-size // (element * world)) * world
