"""Bus bandwidth of the allreduce that ends every training step; every element is verified."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from statistics import median
from typing import Any, NamedTuple

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
# A gradient of 25 million weights, larger than what is timed: only verified.
LARGEST = Message("96MiB", 96 << 20, at_once=1, rounds=1)
# Fills repeat over this many elements; integers this small sum exactly in float32.
PERIOD = 1021


class Library(NamedTuple):
    """What is timed: a sum over all ranks of what was put where the library has it; a barrier.

    Args:
        put: makes of an array what is summed.
        allreduce: gives the sum, in place if the library can, and there when it returns.
        get: gives the sum as an array.
    """

    put: Callable[[np.ndarray], Any]
    allreduce: Callable[[Any], Any]
    get: Callable[[Any], np.ndarray]
    barrier: Callable[[], None]


@contextmanager
def gloo_library(out: Emitter) -> Iterator[Library]:
    """Use torch.distributed with gloo."""
    import torch
    import torch.distributed as dist
    from world import gloo

    def allreduce(tensor: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(tensor)
        return tensor

    with gloo(out):
        yield Library(torch.from_numpy, allreduce, torch.Tensor.numpy, dist.barrier)


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

    def allreduce(array: np.ndarray) -> np.ndarray:
        world.Allreduce(MPI.IN_PLACE, array)
        return array

    yield Library(np.ndarray.copy, allreduce, np.asarray, world.Barrier)


@contextmanager
def tensorflow_library(out: Emitter) -> Iterator[Library]:
    """Use the collectives of MultiWorkerMirroredStrategy, in a graph, as training steps do."""
    import tensorflow as tf
    from meeting import meeting
    from world_tensorflow import mirrored

    def replica(tensor: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # An argument is on no device yet, and the strategy wants to know where it is.
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tensor))

    with mirrored(out) as strategy:
        allreduce = tf.function(lambda tensor: strategy.run(replica, (tensor,)))
        barrier = meeting(out.rank, out.world).barrier
        yield Library(tf.constant, allreduce, lambda tensor: tensor.numpy(), barrier)


@contextmanager
def jax_library(out: Emitter) -> Iterator[Library]:
    """Use jax.distributed, whose collectives on CPUs are gloo's."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec
    from meeting import meeting
    from world_jax import AXIS, clustered

    with clustered(out) as mesh:
        rows, everywhere = NamedSharding(mesh, PartitionSpec(AXIS)), PartitionSpec()
        program = jax.jit(
            jax.shard_map(
                lambda row: jax.lax.psum(row[0], AXIS),
                mesh=mesh,
                in_specs=PartitionSpec(AXIS),
                out_specs=everywhere,
            )
        )

        def put(array: np.ndarray) -> jax.Array:
            shape = (out.world, *array.shape)
            return jax.make_array_from_process_local_data(rows, array[None], shape)

        yield Library(
            put,
            lambda array: jax.block_until_ready(program(array)),
            lambda array: np.asarray(array.addressable_data(0)),
            meeting(out.rank, out.world).barrier,
        )


@contextmanager
def horovod_library(out: Emitter) -> Iterator[Library]:
    """Use Horovod on PyTorch's tensors, each under a name of its own, as ranks' are matched by it.

    Raises:
        RuntimeError: if Horovod joined other ranks than the launcher started.
    """
    import torch
    from horovod_world import joined

    with joined(out, "torch") as horovod:
        if horovod is None:
            raise RuntimeError("Horovod has not all ranks")
        names = count()

        def allreduce(tensor: torch.Tensor) -> torch.Tensor:
            horovod.allreduce_(tensor, op=horovod.Sum, name=f"case.{next(names)}")
            return tensor

        yield Library(torch.from_numpy, allreduce, torch.Tensor.numpy, horovod.barrier)


# The library, and the ceiling that it cannot beat on one node: gloo and TensorFlow's gRPC go
# through TCP; Horovod is told to use MPI.
BACKENDS = {
    "gloo": (gloo_library, "loopback"),
    "mpi": (mpi_library, "memcpy_shm"),
    "horovod": (horovod_library, "memcpy_shm"),
    "tensorflow": (tensorflow_library, "loopback"),
    "jax": (jax_library, "loopback"),
}


def pattern(rank: int, elements: int) -> np.ndarray:
    """Fill a rank's buffer with small integers that depend on the rank and on the place."""
    return (np.arange(elements) % PERIOD + rank).astype(np.float32)


def time_message(library: Library, message: Message, rank: int, world: int) -> tuple[float, int]:
    """Time one allreduce of the message: median seconds, and wrong elements over all rounds."""
    elements = message.bytes // 4
    mine = pattern(rank, elements)
    wanted = np.add.reduce([pattern(r, elements) for r in range(world)])
    seconds = []
    wrong = 0
    for _ in range(message.rounds + 1):
        buffers = [library.put(mine.copy()) for _ in range(message.at_once)]
        library.barrier()
        begun = time.perf_counter()
        sums = [library.allreduce(buffer) for buffer in buffers]
        seconds.append((time.perf_counter() - begun) / message.at_once)
        wrong += sum(int(np.count_nonzero(library.get(each) != wanted)) for each in sums)
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
            _, total_wrong = time_message(library, LARGEST, out.rank, out.world)
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
