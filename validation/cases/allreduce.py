"""Bus bandwidth of the allreduce that ends every training step; every element is verified."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np
from emit import Emitter

from probes import emit_ceilings


class Message(NamedTuple):
    """A message size; small messages are timed several at a time, in buffers of their own."""

    name: str
    bytes: int
    at_once: int
    rounds: int


MESSAGES = (
    Message("64KiB", 64 << 10, at_once=16, rounds=15),
    Message("1MiB", 1 << 20, at_once=4, rounds=15),
    Message("16MiB", 16 << 20, at_once=1, rounds=11),
)
# Fills repeat over this many elements; integers this small sum exactly in float32.
PERIOD = 1021


class Library(NamedTuple):
    """What is timed: a sum in place over all ranks, and a barrier."""

    allreduce: Callable[[np.ndarray], None]
    barrier: Callable[[], None]


@contextmanager
def gloo_library(out: Emitter) -> Iterator[Library]:
    """Use torch.distributed with gloo."""
    import torch
    import torch.distributed as dist
    from world import gloo

    with gloo(out):
        yield Library(lambda array: dist.all_reduce(torch.from_numpy(array)), dist.barrier)


@contextmanager
def mpi_library(out: Emitter) -> Iterator[Library]:
    """Use mpi4py's COMM_WORLD.

    Raises:
        RuntimeError: if the launcher belongs to another MPI, which gives worlds of one rank.
    """
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.Get_size() != out.world:
        raise RuntimeError(f"COMM_WORLD has {world.Get_size()} of {out.world} ranks")
    yield Library(lambda array: world.Allreduce(MPI.IN_PLACE, array), world.Barrier)


# The library, and the ceiling that it cannot beat on one node: gloo goes through TCP.
BACKENDS = {"gloo": (gloo_library, "loopback"), "mpi": (mpi_library, "memcpy_shm")}


def pattern(rank: int, count: int) -> np.ndarray:
    """Fill a rank's buffer with small integers that depend on the rank and on the place."""
    return (np.arange(count) % PERIOD + rank).astype(np.float32)


def time_message(library: Library, message: Message, rank: int, world: int) -> tuple[float, int]:
    """Time one allreduce of the message: median seconds, and wrong elements over all rounds."""
    count = message.bytes // 4
    mine = pattern(rank, count)
    wanted = np.add.reduce([pattern(r, count) for r in range(world)])
    buffers = np.empty((message.at_once, count), np.float32)
    seconds = []
    wrong = 0
    for _ in range(message.rounds + 1):
        buffers[:] = mine
        library.barrier()
        begun = time.perf_counter()
        for buffer in buffers:
            library.allreduce(buffer)
        seconds.append((time.perf_counter() - begun) / message.at_once)
        wrong += int(np.count_nonzero(buffers != wanted))
    return median(seconds[1:]), wrong


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    backend: str = parser.parse_args().backend
    make_library, ceiling = BACKENDS[backend]
    with Emitter() as out:
        # Before the library starts: a waiting MPI rank would poll on the CPU that the probe needs.
        emit_ceilings(out, 1, ceiling)
        with make_library(out) as library:
            total_wrong = 0
            for message in MESSAGES:
                seconds, wrong = time_message(library, message, out.rank, out.world)
                total_wrong += wrong
                if out.rank == 0:
                    # algbw * 2(n-1)/n: nccl-tests, doc/PERFORMANCE.md.
                    bus = message.bytes / seconds * 2 * (out.world - 1) / out.world
                    out.metric(f"allreduce_{backend}_{message.name}", bus / 1e9, "GB/s")
                    out.info(f"microseconds for {message.name}", seconds * 1e6)
        out.check("sums_exact", total_wrong == 0, f"{total_wrong} wrong elements")


if __name__ == "__main__":
    main()
