"""Horovod's ranks, for PyTorch, Keras 3 and legacy Keras: joined, counted, and left together.

Horovod joins whoever its launcher started: by another MPI's launcher each process is a world of its
own, without an error. So its own count is held against that of the launcher.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emit import Emitter, listed
from imports import MPI
from meeting import meeting

APIS = {
    "torch": "horovod.torch",
    "tensorflow": "horovod.tensorflow",
    "keras": "horovod.tensorflow.keras",
    "legacy-keras": "horovod.tensorflow.keras",
}
"""The module that users of a framework import."""


def api(framework: str) -> Any:
    """Import Horovod for a framework.

    Legacy Keras is asked for before TensorFlow is imported, which then takes it for tf.keras.
    """
    if framework == "legacy-keras":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    return importlib.import_module(APIS[framework])


def mpi_libraries() -> list[Path]:
    """Give the files that are MPI libraries and that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(line.split(maxsplit=5)[-1]) for line in lines if "/" in line}
    return sorted(path for path in paths if MPI.match(path.name))


@contextmanager
def joined(out: Emitter, framework: str) -> Iterator[Any]:
    """Join all ranks and give Horovod, where they are as many as the launcher started.

    Yields:
        Horovod's module, or None where ranks are missing: nothing else would mean anything then.
    """
    horovod = api(framework)
    horovod.init()
    size, rank = horovod.size(), horovod.rank()
    whole = (size, rank) == (out.world, out.rank)
    detail = f"Horovod: rank {rank} of {size}; launcher: rank {out.rank} of {out.world}"
    out.check("world_size", whole, detail)
    yield horovod if whole else None
    # mpi4py in the same process, as users have it, must be of the same library.
    importlib.import_module("mpi4py").rc.initialize = False
    importlib.import_module("mpi4py.MPI")
    libraries = mpi_libraries()
    out.check("one_mpi", len(libraries) == 1, f"mapped: {listed(libraries)}")
    if whole:
        # The first rank that leaves ends MPI for all, also for one that just imports mpi4py.
        meeting(out.rank, out.world).barrier()
    horovod.shutdown()
