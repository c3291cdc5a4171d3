"""A checkpoint, written until it is in storage and read from there, against bare storage."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

import torch
from emit import Emitter
from storage import forget, sync
from timing import summary, verified_seconds
from torch import Tensor, nn

from probes import emit_ceilings

REPETITIONS = 3
LAYERS, FEATURES = 32, 512


class Training:
    """A network and Adam's moments: 96 MiB in two hundred tensors."""

    def __init__(self, seed: int) -> None:
        """Take one step, as an optimizer has no state before."""
        torch.manual_seed(seed)
        self.model = nn.Sequential(*(nn.Linear(FEATURES, FEATURES) for _ in range(LAYERS)))
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.model(torch.randn(8, FEATURES)).square().mean().backward()
        self.optimizer.step()

    def save(self, file: Path) -> None:
        """Write a checkpoint, and wait until it is in storage."""
        torch.save(
            {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, file
        )
        sync(file)

    def load(self, file: Path) -> None:
        """Read a checkpoint without running any code that lies in it."""
        state = torch.load(file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def tensors(self) -> dict[str, Tensor]:
        """Give all that a checkpoint must hold, by name."""
        found = dict(self.model.state_dict())
        for number, state in self.optimizer.state_dict()["state"].items():
            found |= {f"{key} of parameter {number}": value for key, value in state.items()}
        return found


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Name the tensors that are not bitwise the same."""
    return sorted(
        name
        for name in found.keys() | wanted.keys()
        if name not in found
        or name not in wanted
        or found[name].dtype != wanted[name].dtype
        or found[name].numpy().tobytes() != wanted[name].numpy().tobytes()
    )


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where it is written; the run's own folder")
    options = parser.parse_args()
    above = options.folder or Path(os.environ.get("STACKWRIGHT_OUT") or tempfile.gettempdir())
    with Emitter() as out, tempfile.TemporaryDirectory(dir=above) as folder:
        emit_ceilings(out, 1, "write_synced", "read_storage", folder=Path(folder))
        whole, read = Training(seed=1), Training(seed=2)
        wanted = whole.tensors()
        size = sum(tensor.nbytes for tensor in wanted.values())
        strays: set[str] = set()
        file = Path(folder, "checkpoint.pt")

        def verify(_: None) -> None:
            strays.update(differences(read.tensors(), wanted))
            forget(file)

        # A new file each time: writing over the old one would spare the file system its work.
        writes = verified_seconds(lambda: whole.save(file), lambda _: file.unlink(), REPETITIONS)
        whole.save(file)
        forget(file)
        reads = verified_seconds(lambda: read.load(file), verify, REPETITIONS)
        for name, seconds in (("checkpoint_write", writes), ("checkpoint_read", reads)):
            out.metric(name, size / median(seconds) / 1e9, "GB/s")
            out.info(name, {"bytes": size, **summary(seconds)})
        detail = f"{len(strays)} of {len(wanted)} tensors differ: {sorted(strays)[:5]}"
        out.check("checkpoint_bitwise", not strays, detail)


if __name__ == "__main__":
    main()
