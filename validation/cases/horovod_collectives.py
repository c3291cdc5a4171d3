"""Horovod's collectives are exact: every element, on every rank, of sums and copies of integers."""

from __future__ import annotations

import argparse
from itertools import count
from typing import Any

import numpy as np
from collectives import COPIED, KINDS, SUMMED, check_all
from emit import Emitter
from horovod_world import joined

NAMES = count()


class Horovod:
    """Horovod's collectives on tensors of a framework; see `collectives.Backend`.

    Each call has a name of its own: Horovod matches those of ranks by name, not by order.
    """

    kinds, smallest = KINDS, 0
    summed, copied, exact = (*SUMMED, "float16"), (*COPIED, "float16"), 2**24

    def __init__(self, horovod: Any) -> None:
        """Take Horovod's module for a framework."""
        self._horovod = horovod
        self._operations = {"sum": horovod.Sum, "min": horovod.Min, "max": horovod.Max}

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """See Backend."""
        chosen = self._operations[operation]
        return self._run("allreduce", mine, op=chosen)

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        return self._run("broadcast", mine, root_rank=root)

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        del world
        return self._run("allgather", mine)

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        del world
        return self._run("reducescatter", mine, op=self._horovod.Sum)

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        return self._run("alltoall", mine)

    def _run(self, collective: str, mine: np.ndarray, **how: Any) -> np.ndarray:
        call = getattr(self._horovod, collective)
        found: np.ndarray = call(self.tensor(mine), name=f"case.{next(NAMES)}", **how).numpy()
        return found

    def tensor(self, array: np.ndarray) -> Any:
        """Make a tensor of the framework."""
        raise NotImplementedError


class OfTorch(Horovod):
    """PyTorch's tensors."""

    def tensor(self, array: np.ndarray) -> Any:
        """See Horovod."""
        import torch

        return torch.from_numpy(array.copy())


class OfTensorflow(Horovod):
    """TensorFlow's tensors."""

    def tensor(self, array: np.ndarray) -> Any:
        """See Horovod."""
        import tensorflow as tf

        return tf.constant(array)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=("torch", "tensorflow"), required=True)
    framework = parser.parse_args().framework
    kind = {"torch": OfTorch, "tensorflow": OfTensorflow}[framework]
    with Emitter() as out, joined(out, framework) as horovod:
        if horovod is not None:
            check_all(out, kind(horovod), KINDS, out.rank, out.world)


if __name__ == "__main__":
    main()
