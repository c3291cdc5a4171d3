"""Training that stops and resumes from a checkpoint equals training that never stopped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from emit import Emitter, listed
from frameworks import Findings, findings, of_the_stack, part

STEPS = 8
STOP_AFTER = 3
SAMPLES = 16
FEATURES = 32
HIDDEN = 64
DROPOUT = 0.5
# The rate halves every two steps, by the framework's own schedule.
RATE, HALVES_EVERY, MOMENTUM = 0.05, 2, 0.9
# Some frameworks hold rates in float32.
RATE_TOLERANCE = 1e-6

Arrays = dict[str, np.ndarray]


class Training(Protocol):
    """A network with batch norm and dropout, its optimizer, schedule and random state.

    Before the batch norm nothing is added: that would have a gradient of zero, and whether rounding
    moves it is chance.
    """

    def run(self, steps: range) -> list[float]:
        """Take the given steps, each on `batch_of` its number: the rates that they took."""

    def save(self, folder: Path) -> None:
        """Write a checkpoint, as users of the framework do."""

    def load(self, folder: Path) -> None:
        """Read it, without running any code that lies in it."""

    def arrays(self) -> Arrays:
        """Copy all parameters and buffers."""


class Part(Protocol):
    """`resume_<framework>.py`."""

    def start(self, seed: int) -> Training:
        """Begin with fresh parameters."""


def batch_of(step: int) -> np.ndarray:
    """Draw the batch of a step: (SAMPLES, FEATURES), float32."""
    return np.random.default_rng(step).normal(size=(SAMPLES, FEATURES)).astype(np.float32)


def differences(found: Arrays, wanted: Arrays) -> list[str]:
    """Name the arrays that are not bitwise the same."""
    names = found.keys() | wanted.keys()
    return sorted(
        name
        for name in names
        if name not in found
        or name not in wanted
        or found[name].dtype != wanted[name].dtype
        or found[name].tobytes() != wanted[name].tobytes()
    )


def through_hdf5(arrays: Arrays, path: Path) -> Arrays:
    """Write arrays as compressed HDF5 datasets, and read them back."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            compression = "gzip" if array.ndim else None
            file.create_dataset(name, data=array, compression=compression)
    with h5py.File(path, "r") as file:
        return {name: np.asarray(file[name]) for name in arrays}


def check(found: Findings, framework: Part, folder: Path) -> None:
    """Stop, resume, and compare with a run that never stopped."""
    whole = framework.start(seed=1)
    used = whole.run(range(STEPS))
    wanted = [RATE / 2 ** (step // HALVES_EVERY) for step in range(STEPS)]
    right = len(used) == STEPS and np.allclose(used, wanted, rtol=RATE_TOLERANCE, atol=0)
    found.check("learning_rates", right, ", ".join(f"{rate:g}" for rate in used))

    stopped = framework.start(seed=1)
    stopped.run(range(STOP_AFTER))
    stopped.save(folder)

    resumed = framework.start(seed=2)
    resumed.load(folder)
    resumed.run(range(STOP_AFTER, STEPS))

    strays = differences(resumed.arrays(), whole.arrays())
    told = f"differ from the uninterrupted run: {listed(strays)}"
    found.check("resume_bitwise", not strays, told)
    # Without this, a checkpoint that holds nothing could pass on a model that learns nothing.
    moved = differences(stopped.arrays(), whole.arrays())
    found.check("training_moves", len(moved) == len(whole.arrays()), f"changed: {listed(moved)}")

    stored = through_hdf5(whole.arrays(), folder / "arrays.h5")
    strays = differences(stored, whole.arrays())
    found.check("hdf5_bitwise", not strays, f"differ after HDF5: {listed(strays)}")


def main() -> None:
    """Run the case."""
    names = of_the_stack(__doc__)
    with Emitter() as out, findings(out, names) as found:
        for found.framework in names:
            with tempfile.TemporaryDirectory() as folder:
                check(found, part("resume", found.framework), Path(folder))


if __name__ == "__main__":
    main()
