"""Training that stops and resumes from a checkpoint equals training that never stopped."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from emit import Emitter, listed
from torch import nn

STEPS = 8
STOP_AFTER = 3
FEATURES = 32


@dataclass(frozen=True)
class Training:
    """Everything that a step changes, beside torch's random state."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    @staticmethod
    def start(seed: int) -> Training:
        """Begin with fresh parameters. Dropout makes the random state matter."""
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Linear(FEATURES, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(64, 1),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        return Training(model, optimizer, schedule)

    def run(self, steps: range) -> None:
        """Take the given steps; the batch of a step depends on its number only."""
        for step in steps:
            generator = torch.Generator().manual_seed(step)
            batch = torch.randn(16, FEATURES, generator=generator)
            self.optimizer.zero_grad()
            self.model(batch).square().mean().backward()
            self.optimizer.step()
            self.schedule.step()

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(state, path)

    def load(self, path: Path) -> None:
        """Read a checkpoint without running any code that lies in it."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy all parameters and buffers."""
        return {name: t.numpy().copy() for name, t in self.model.state_dict().items()}


def differences(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> list[str]:
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


def through_hdf5(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Write arrays as compressed HDF5 datasets, and read them back."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            compression = "gzip" if array.ndim else None
            file.create_dataset(name, data=array, compression=compression)
    with h5py.File(path, "r") as file:
        return {name: np.asarray(file[name]) for name in arrays}


def main() -> None:
    """Run the case."""
    with Emitter() as out, tempfile.TemporaryDirectory() as folder:
        whole = Training.start(seed=1)
        whole.run(range(STEPS))

        stopped = Training.start(seed=1)
        stopped.run(range(STOP_AFTER))
        stopped.save(Path(folder, "checkpoint.pt"))

        resumed = Training.start(seed=2)
        resumed.load(Path(folder, "checkpoint.pt"))
        resumed.run(range(STOP_AFTER, STEPS))

        strays = differences(resumed.arrays(), whole.arrays())
        out.check(
            "resume_bitwise", not strays, f"differ from the uninterrupted run: {listed(strays)}"
        )
        # Without this, a checkpoint that holds nothing could pass on a model that learns nothing.
        moved = differences(stopped.arrays(), whole.arrays())
        out.check("training_moves", len(moved) == len(whole.arrays()), f"changed: {listed(moved)}")

        stored = through_hdf5(whole.arrays(), Path(folder, "arrays.h5"))
        strays = differences(stored, whole.arrays())
        out.check("hdf5_bitwise", not strays, f"differ after HDF5: {listed(strays)}")


if __name__ == "__main__":
    main()
