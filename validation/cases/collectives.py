"""Collectives are exact: every element, on every rank, of sums and copies of integers."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from emit import Emitter
from frameworks import Findings, expected_versions, findings, frameworks, load

# Empty, one element, odd sizes, and both sides of where libraries switch their algorithms.
SIZES = (0, 1, 2, 1023, 1024, 4096, 65537, 1 << 20)
SUMMED = ("int32", "int64", "float32", "float64")
BYTES = ("int8", "uint8")
COPIED = (*SUMMED, "uint8")
MODULUS = 97
# What sums may come to: beyond it numbers are rounded, and of bytes libraries make what they like.
EXACT = {"int8": 2**7 - 1, "uint8": 2**8 - 1, "float16": 2**11}
OPERATIONS = {"sum": np.add, "min": np.minimum, "max": np.maximum}


KINDS = (
    *("allreduce_sum", "allreduce_min", "allreduce_max", "reduce_scatter"),
    *("broadcast", "allgather", "alltoall"),
)


class Backend(Protocol):
    """The collectives of one library, on numpy arrays."""

    kinds: Collection[str]
    """Those of KINDS that it has."""
    summed: Collection[str]
    """The dtypes that it sums."""
    copied: Collection[str]
    """The dtypes that it copies."""
    exact: int
    """The number up to which it holds every whole one, whatever the dtype; EXACT has those of
    some dtypes."""
    smallest: int
    """The fewest elements that it takes."""

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

    kinds, smallest = KINDS, 0
    summed, copied, exact = (*SUMMED, *BYTES, "float16"), (*COPIED, "float16"), 2**24
    device = "cpu"
    """Where it has its arrays."""

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
        tensor = self._placed(mine)
        self._dist.all_reduce(tensor, op=self._operations[operation])
        return self._array(tensor)

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        tensor = self._placed(mine)
        self._dist.broadcast(tensor, src=root)
        return self._array(tensor)

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        tensor = self._placed(mine)
        parts = [self._torch.empty_like(tensor) for _ in range(world)]
        self._dist.all_gather(parts, tensor)
        return self._array(self._torch.cat(parts))

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        parts = list(self._placed(mine).chunk(world))
        part = self._torch.empty_like(parts[0])
        self._dist.reduce_scatter(part, parts)
        return self._array(part)

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        tensor = self._placed(mine)
        result = self._torch.empty_like(tensor)
        self._dist.all_to_all_single(result, tensor)
        return self._array(result)

    def _placed(self, mine: np.ndarray) -> Any:
        """A copy of an array, where the group's are."""
        return self._torch.tensor(mine, device=self.device)

    def _array(self, tensor: Any) -> np.ndarray:
        found: np.ndarray = tensor.cpu().numpy()
        return found


class Joined(Gloo):
    """The calls of the same group that have all ranks' parts in one tensor, as FSDP makes them."""

    kinds = ("allgather", "reduce_scatter")

    def __init__(self) -> None:
        """Find the calls: PyTorch 2.13 has other names for them."""
        super().__init__()
        self._gather, self._scatter = (
            getattr(self._dist, name, None) or getattr(self._dist, older)
            for name, older in (
                ("all_gather_single", "all_gather_into_tensor"),
                ("reduce_scatter_single", "reduce_scatter_tensor"),
            )
        )

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        tensor = self._placed(mine)
        result = tensor.new_empty(world * len(tensor))
        self._gather(result, tensor)
        return self._array(result)

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        tensor = self._placed(mine)
        result = tensor.new_empty(len(tensor) // world)
        self._scatter(result, tensor)
        return self._array(result)


class Brain(Gloo):
    """The same group for bfloat16, which NumPy lacks: its arrays are of float32."""

    summed = copied = ("float32",)
    exact = 2**8

    def _placed(self, mine: np.ndarray) -> Any:
        return super()._placed(mine).bfloat16()

    def _array(self, tensor: Any) -> np.ndarray:
        return super()._array(tensor.float())


class Nccl(Gloo):
    """The same group on GPUs."""

    smallest = 1
    device = "cuda"


class JoinedOnGpus(Joined, Nccl):
    """The same of its calls on GPUs."""


class BrainOnGpus(Brain, Nccl):
    """Bfloat16 on GPUs."""


class Mpi:
    """mpi4py's COMM_WORLD."""

    kinds, smallest = KINDS, 0
    summed, copied, exact = (*SUMMED, *BYTES), COPIED, 2**24

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


@cache
def pattern(rank: int, size: int, modulus: int) -> np.ndarray:
    """Make a rank's array in bytes: every element depends on its rank and on its place."""
    return ((np.arange(size) * 31 + rank * 17 + 1) % modulus).astype(np.uint8)


def values(rank: int, size: int, dtype: str, modulus: int) -> np.ndarray:
    """Give a rank's array in a dtype."""
    return pattern(rank, size, modulus).astype(dtype)


class Trial(NamedTuple):
    """What one collective gave on this rank, and what it should have given."""

    name: str
    got: np.ndarray
    want: np.ndarray


def trials(backend: Backend, kinds: Collection[str], rank: int, world: int) -> Iterator[Trial]:
    """Run every collective of these kinds for every dtype and size."""
    for size in (size for size in SIZES if size >= backend.smallest):
        for dtype in backend.summed:
            yield from sums(backend, kinds, rank, world, size, dtype)
        for dtype in backend.copied:
            yield from copies(backend, kinds, rank, world, size, dtype)


def sums(
    backend: Backend, kinds: Collection[str], rank: int, world: int, size: int, dtype: str
) -> Iterator[Trial]:
    """Run what computes, with values so small that a sum over all ranks is exact.

    Of so many ranks that there are none, a dtype is left.
    """
    exact = min(backend.exact, EXACT.get(dtype, backend.exact))
    if (modulus := min(MODULUS, exact // world)) < 2:
        return
    mine = [values(r, size, dtype, modulus) for r in range(world)]
    for operation, combine in OPERATIONS.items():
        if (kind := f"allreduce_{operation}") in kinds:
            want = combine.reduce(mine).astype(dtype)
            yield Trial(kind, backend.allreduce(mine[rank], operation), want)
    if "reduce_scatter" in kinds:
        whole = [values(r, size * world, dtype, modulus) for r in range(world)]
        pieces = [array[rank * size : (rank + 1) * size] for array in whole]
        want = np.add.reduce(pieces).astype(dtype)
        yield Trial("reduce_scatter", backend.reduce_scatter(whole[rank], world), want)


def copies(
    backend: Backend, kinds: Collection[str], rank: int, world: int, size: int, dtype: str
) -> Iterator[Trial]:
    """Run what moves values."""
    mine = [values(r, size, dtype, MODULUS) for r in range(world)]
    if "broadcast" in kinds:
        root = world - 1
        yield Trial("broadcast", backend.broadcast(mine[rank], root), mine[root])
    if "allgather" in kinds:
        yield Trial("allgather", backend.allgather(mine[rank], world), np.concatenate(mine))
    if "alltoall" in kinds:
        whole = [values(r, size * world, dtype, MODULUS) for r in range(world)]
        parts = [array[rank * size : (rank + 1) * size] for array in whole]
        yield Trial("alltoall", backend.alltoall(whole[rank]), np.concatenate(parts))


def check_all(
    out: Emitter | Findings, backend: Backend, kinds: Collection[str], rank: int, world: int
) -> None:
    """Make one check per collective, over all dtypes and sizes."""
    runs: dict[str, int] = {}
    wrong: dict[str, list[str]] = {}
    for name, got, want in trials(backend, kinds, rank, world):
        runs[name] = runs.get(name, 0) + 1
        if not np.array_equal(got, want):
            count = int(np.sum(got != want))
            wrong.setdefault(name, []).append(f"{want.dtype}[{want.size}]: {count} wrong")
    for name, count in runs.items():
        faults = wrong.get(name, [])
        detail = f"{len(faults)} of {count} wrong on rank {rank} {'; '.join(faults[:5])}"
        out.check(name, not faults, detail.rstrip())


def run_frameworks(out: Emitter, names: list[str], kinds: Collection[str] | None) -> None:
    """Check the collectives of each framework, of these kinds or all that it has."""
    with findings(out, names) as found:
        for found.framework in names:
            framework = load(found.framework)
            with framework.together(out) as size:
                found.check("world_size", size == out.world, f"{size}")
                for backend in framework.collectives():
                    asked = [kind for kind in backend.kinds if kind in (kinds or KINDS)]
                    check_all(found, backend, asked, out.rank, out.world)


def run_nccl(out: Emitter) -> None:
    """Check PyTorch's collectives on GPUs."""
    from world import nccl

    with findings(out, ["torch"]) as found, nccl(out) as size:
        found.check("world_size", size == out.world, f"{size}")
        for backend in (Nccl(), BrainOnGpus(), JoinedOnGpus()):
            check_all(found, backend, backend.kinds, out.rank, out.world)


def run_mpi(out: Emitter) -> None:
    """Check mpi4py. A launcher of another MPI gives N silent worlds of one rank each."""
    backend = Mpi()
    size = backend.world.Get_size()
    joined = size == out.world
    out.check("world_size", joined, f"COMM_WORLD has {size} of {out.world} ranks")
    if joined:
        check_all(out, backend, KINDS, out.rank, out.world)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--backend", choices=("gloo", "nccl", "mpi"), help="PyTorch's own, or MPI's")
    what.add_argument("--stack", type=expected_versions, help="what is locked: its frameworks' own")
    parser.add_argument("--kinds", type=lambda text: text.split(","), help="these alone")
    options = parser.parse_args()
    with Emitter() as out:
        if options.backend == "mpi":
            run_mpi(out)
        elif options.backend == "nccl":
            run_nccl(out)
        else:
            names = frameworks(options.stack) if options.stack else ["torch"]
            run_frameworks(out, names, options.kinds)


if __name__ == "__main__":
    main()
