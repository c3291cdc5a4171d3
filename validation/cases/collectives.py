"""Collectives are exact: every element, on every rank, of sums and copies of integers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from emit import Emitter

# Empty, one element, odd sizes, and both sides of where libraries switch their algorithms.
SIZES = (0, 1, 2, 1023, 1024, 4096, 65537, 1 << 20)
SUMMED = ("int32", "int64", "float32", "float64")
COPIED = (*SUMMED, "uint8")
# Values stay below 2**7, so that a sum over thousands of ranks is exact in float32's 24 bits.
MODULUS = 97
OPERATIONS = {"sum": np.add, "min": np.minimum, "max": np.maximum}


class Backend(Protocol):
    """The collectives of one library, on numpy arrays."""

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """Combine the arrays of all ranks."""

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """Copy the root's array to all ranks."""

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """Join the arrays of all ranks in the order of ranks."""

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """Sum the arrays of all ranks, and keep this rank's part of the sum."""

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """Give each rank its part of this rank's array."""


class Gloo:
    """torch.distributed's default group."""

    def __init__(self) -> None:
        """Import torch only here: the MPI variant needs none."""
        import torch
        import torch.distributed as dist

        self._torch = torch
        self._dist = dist
        self._operations = {
            "sum": dist.ReduceOp.SUM,
            "min": dist.ReduceOp.MIN,
            "max": dist.ReduceOp.MAX,
        }

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """See Backend."""
        tensor = self._torch.from_numpy(mine.copy())
        self._dist.all_reduce(tensor, op=self._operations[operation])
        return tensor.numpy()

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        tensor = self._torch.from_numpy(mine.copy())
        self._dist.broadcast(tensor, src=root)
        return tensor.numpy()

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        tensor = self._torch.from_numpy(mine)
        parts = [self._torch.empty_like(tensor) for _ in range(world)]
        self._dist.all_gather(parts, tensor)
        return self._torch.cat(parts).numpy()

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        parts = list(self._torch.from_numpy(mine).chunk(world))
        part = self._torch.empty(mine.size // world, dtype=parts[0].dtype)
        self._dist.reduce_scatter(part, parts)
        return part.numpy()

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        tensor = self._torch.from_numpy(mine)
        result = self._torch.empty_like(tensor)
        self._dist.all_to_all_single(result, tensor)
        return result.numpy()


class Mpi:
    """mpi4py's COMM_WORLD."""

    def __init__(self) -> None:
        """Import mpi4py, which starts MPI."""
        from mpi4py import MPI

        self.world = MPI.COMM_WORLD
        self._operations = {"sum": MPI.SUM, "min": MPI.MIN, "max": MPI.MAX}

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """See Backend."""
        result = np.empty_like(mine)
        self.world.Allreduce(mine, result, op=self._operations[operation])
        return result

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        result = mine.copy()
        self.world.Bcast(result, root=root)
        return result

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        result = np.empty(mine.size * world, mine.dtype)
        self.world.Allgather(mine, result)
        return result

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        result = np.empty(mine.size // world, mine.dtype)
        self.world.Reduce_scatter_block(mine, result)
        return result

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        result = np.empty_like(mine)
        self.world.Alltoall(mine, result)
        return result


def values(rank: int, size: int, dtype: str) -> np.ndarray:
    """Make a rank's array: every element depends on its rank and on its place."""
    return ((np.arange(size) * 31 + rank * 17 + 1) % MODULUS).astype(dtype)


class Trial(NamedTuple):
    """What one collective gave on this rank, and what it should have given."""

    name: str
    got: np.ndarray
    want: np.ndarray


def trials(backend: Backend, rank: int, world: int) -> Iterator[Trial]:
    """Run every collective for every dtype and size."""
    for size in SIZES:
        for dtype in SUMMED:
            mine = [values(r, size, dtype) for r in range(world)]
            for operation, combine in OPERATIONS.items():
                want = combine.reduce(mine).astype(dtype)
                yield Trial(
                    f"allreduce_{operation}", backend.allreduce(mine[rank], operation), want
                )
            whole = [values(r, size * world, dtype) for r in range(world)]
            want = np.add.reduce(whole).astype(dtype)[rank * size : (rank + 1) * size]
            yield Trial("reduce_scatter", backend.reduce_scatter(whole[rank], world), want)
        for dtype in COPIED:
            mine = [values(r, size, dtype) for r in range(world)]
            root = world - 1
            yield Trial("broadcast", backend.broadcast(mine[rank], root), mine[root])
            yield Trial("allgather", backend.allgather(mine[rank], world), np.concatenate(mine))
            whole = [values(r, size * world, dtype) for r in range(world)]
            parts = [array[rank * size : (rank + 1) * size] for array in whole]
            yield Trial("alltoall", backend.alltoall(whole[rank]), np.concatenate(parts))


def check_all(out: Emitter, backend: Backend) -> None:
    """Emit one check per collective, over all dtypes and sizes."""
    runs: dict[str, int] = {}
    wrong: dict[str, list[str]] = {}
    for name, got, want in trials(backend, out.rank, out.world):
        runs[name] = runs.get(name, 0) + 1
        if not np.array_equal(got, want):
            count = int(np.sum(got != want))
            wrong.setdefault(name, []).append(f"{want.dtype}[{want.size}]: {count} wrong")
    for name, count in runs.items():
        faults = wrong.get(name, [])
        detail = f"{len(faults)} of {count} wrong on rank {out.rank} {'; '.join(faults[:5])}"
        out.check(name, not faults, detail.rstrip())


def run_gloo(out: Emitter) -> None:
    """Check torch.distributed with gloo."""
    import torch.distributed as dist
    from world import gloo

    with gloo(out):
        out.check("world_size", dist.get_world_size() == out.world, f"{dist.get_world_size()}")
        check_all(out, Gloo())


def run_mpi(out: Emitter) -> None:
    """Check mpi4py. A launcher of another MPI gives N silent worlds of one rank each."""
    backend = Mpi()
    size = backend.world.Get_size()
    joined = size == out.world
    out.check("world_size", joined, f"COMM_WORLD has {size} of {out.world} ranks")
    if joined:
        check_all(out, backend)


BACKENDS: dict[str, Callable[[Emitter], None]] = {"gloo": run_gloo, "mpi": run_mpi}


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    run = BACKENDS[parser.parse_args().backend]
    with Emitter() as out:
        run(out)


if __name__ == "__main__":
    main()
