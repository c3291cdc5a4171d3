"""A data set in files that all ranks write, each its share, and all ranks read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch.distributed as dist


@contextmanager
def stored(
    count: int, per_file: int, write: Callable[[Path, range], None], rank: int, world: int
) -> Iterator[list[Path]]:
    """Have the first `count` samples written, `per_file` to a file, and give the files in order.

    They lie in the run's own folder, and are gone afterwards.

    Args:
        write: writes the samples of a range to a file.
    """
    made = [tempfile.mkdtemp(dir=os.environ.get("STACKWRIGHT_OUT")) if rank == 0 else ""]
    dist.broadcast_object_list(made)
    folder = Path(made[0])
    for first in range(rank * per_file, count, world * per_file):
        write(folder / f"samples-{first:09}", range(first, min(first + per_file, count)))
    dist.barrier()
    yield sorted(folder.iterdir())
    dist.barrier()
    if rank == 0:
        shutil.rmtree(folder)


def write_npy(file: Path, samples: Sequence[np.ndarray]) -> None:
    """Write samples of one shape to an npy file."""
    np.save(file.with_suffix(".npy"), np.stack(samples))


class NpyFiles:
    """Samples in npy files, mapped into memory and read when asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Map all files; all but the last hold as many samples."""
        self._arrays = [np.load(file, mmap_mode="r") for file in files]

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Give samples by index."""
        places = [divmod(index, len(self._arrays[0])) for index in indices]
        return np.stack([self._arrays[file][row] for file, row in places])
