"""Time and bandwidth of five collectives, from 8 bytes on; every element is verified."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np
from emit import Emitter
from message_sizes import BUS, Message, bandwidths, messages, whole_parts
from timing import summary

from probes import emit_ceilings

LARGEST = 64 << 20
ELEMENT = np.dtype(np.float32)
# Fills repeat over this many elements; integers this small sum exactly in float32.
PERIOD = 1021
# No rank sends this, so an element that did not arrive is wrong.
NOTHING = -1.0


class Library(NamedTuple):
    """The collectives of one library, from a rank's buffer into another, and a gathering of times.

    Args:
        collectives: by name; `allreduce` and `broadcast` work in place, in the second buffer.
        barrier: waits for all ranks.
        slowest: of each of some numbers, the largest over all ranks.
    """

    collectives: dict[str, Callable[[np.ndarray, np.ndarray], None]]
    barrier: Callable[[], None]
    slowest: Callable[[np.ndarray], np.ndarray]


@contextmanager
def gloo_library(out: Emitter) -> Iterator[Library]:
    """Use torch.distributed with gloo."""
    import torch
    import torch.distributed as dist
    from world import gloo

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array)

    def parts(array: np.ndarray) -> list[torch.Tensor]:
        return list(tensor(array).chunk(out.world))

    def slowest(times: np.ndarray) -> np.ndarray:
        dist.all_reduce(tensor(times), op=dist.ReduceOp.MAX)
        return times

    with gloo(out):
        yield Library(
            {
                "allreduce": lambda _, to: dist.all_reduce(tensor(to)),
                "allgather": lambda of, to: dist.all_gather(parts(to), tensor(of)),
                "reduce_scatter": lambda of, to: dist.reduce_scatter(tensor(to), parts(of)),
                "broadcast": lambda _, to: dist.broadcast(tensor(to), src=0),
                "alltoall": lambda of, to: dist.all_to_all_single(tensor(to), tensor(of)),
            },
            dist.barrier,
            slowest,
        )


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

    def slowest(times: np.ndarray) -> np.ndarray:
        world.Allreduce(MPI.IN_PLACE, times, op=MPI.MAX)
        return times

    yield Library(
        {
            "allreduce": lambda _, to: world.Allreduce(MPI.IN_PLACE, to),
            "allgather": world.Allgather,
            "reduce_scatter": world.Reduce_scatter_block,
            "broadcast": lambda _, to: world.Bcast(to, root=0),
            "alltoall": world.Alltoall,
        },
        world.Barrier,
        slowest,
    )


class Backend(NamedTuple):
    """A library, and the ceilings that it can't beat on one node.

    gloo goes through TCP; MPI copies between the ranks' memory, at best once.
    """

    library: Callable[[Emitter], object]
    bandwidth: str
    latency: str


BACKENDS = {
    "gloo": Backend(gloo_library, "loopback", "loopback_latency"),
    "mpi": Backend(mpi_library, "memcpy", "shm_latency"),
}


class Exchange(NamedTuple):
    """What a rank puts into a collective, and what must be in its second buffer before and after.

    Args:
        sent: what the first buffer holds.
        before: what the second one holds.
        wanted: what it must hold afterwards.
    """

    sent: np.ndarray
    before: np.ndarray
    wanted: np.ndarray


def exchange(collective: str, count: int, rank: int, world: int) -> Exchange:
    """Fill buffers of `count` elements with small integers that depend on the rank and the place.

    Rank r has at place i the remainder of i, plus r.
    """
    base = np.resize(np.arange(PERIOD, dtype=ELEMENT), count)
    part = slice(rank * count // world, (rank + 1) * count // world)
    piece, total = base[: count // world], base * world + world * (world - 1) // 2
    ranks = range(world)
    sent, wanted = {
        "allreduce": lambda: (base + rank, total),
        "allgather": lambda: (piece + rank, np.concatenate([piece + r for r in ranks])),
        "reduce_scatter": lambda: (base + rank, total[part]),
        "broadcast": lambda: (base, base),
        "alltoall": lambda: (base + rank, np.concatenate([base[part] + r for r in ranks])),
    }[collective]()
    holds_input = collective == "allreduce" or (collective == "broadcast" and rank == 0)
    return Exchange(sent, sent if holds_input else np.full_like(wanted, NOTHING), wanted)


def time_collective(
    library: Library, collective: str, message: Message, rank: int, world: int
) -> tuple[list[float], int]:
    """Give each round's seconds on the slowest rank, and this rank's wrong elements over all."""
    count = whole_parts(message.bytes, ELEMENT.itemsize, world)
    sent, before, wanted = exchange(collective, count, rank, world)
    run = library.collectives[collective]
    buffers = np.empty((message.at_once, len(wanted)), ELEMENT)
    seconds = np.empty(message.rounds + 1)
    wrong = 0
    for turn in range(message.rounds + 1):
        buffers[:] = before
        library.barrier()
        begun = time.perf_counter()
        for buffer in buffers:
            run(sent, buffer)
        seconds[turn] = (time.perf_counter() - begun) / message.at_once
        wrong += int(np.count_nonzero(buffers != wanted))
    return library.slowest(seconds)[1:].tolist(), wrong


def sweep(
    library: Library, collective: str, sizes: Sequence[Message], rank: int, world: int
) -> list[dict[str, float]]:
    """Time a collective for all sizes, and say what its times mean."""
    rows = []
    for message in sizes:
        seconds, wrong = time_collective(library, collective, message, rank, world)
        algorithm, bus = bandwidths(collective, message.bytes, median(seconds), world)
        rates = {"bytes": message.bytes, "algorithm GB/s": algorithm, "bus GB/s": bus}
        rows.append({**rates, **summary(seconds), "wrong": wrong})
    return rows


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of a message")
    parser.add_argument("--no-metrics", action="store_true", help="verify, and compare no times")
    options = parser.parse_args()
    backend: str = options.backend
    make_library, bandwidth, latency = BACKENDS[backend]
    sizes = messages(options.largest)
    with Emitter() as out:
        # Before the library starts: a waiting MPI rank would poll on the CPU that the probe needs.
        if not options.no_metrics:
            emit_ceilings(out, 1, bandwidth, latency)
        with make_library(out) as library:
            found = {name: sweep(library, name, sizes, out.rank, out.world) for name in BUS}
        if out.rank == 0:
            for name, rows in found.items():
                out.info(f"{name} of {backend}", rows)
            out.series(
                f"bus bandwidth of {backend}",
                xlabel="log2(bytes)",
                ylabel="GB/s",
                x=[math.log2(message.bytes) for message in sizes],
                y={name: [row["bus GB/s"] for row in rows] for name, rows in found.items()},
            )
        if out.rank == 0 and not options.no_metrics:
            for name, rows in found.items():
                out.metric(f"{name}_{backend}", rows[-1]["bus GB/s"], "GB/s")
            out.metric(f"latency_{backend}", found["allreduce"][0]["least us"], "us")
        wrong = sum(int(row["wrong"]) for rows in found.values() for row in rows)
        out.check("elements_exact", wrong == 0, f"{wrong} wrong elements")


if __name__ == "__main__":
    main()
