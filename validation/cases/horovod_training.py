"""Training with Horovod computes what one rank computes on the whole batch, in each framework.

A part for each framework has what its users write: `horovod_training_torch.py`,
`horovod_training_keras.py` (Keras 3, and legacy Keras in its place). What is asked of them is what
`gradients.py` asks of a framework's own ways, and that a training goes on from a checkpoint of rank
0's; of Keras also Horovod's gradient tape and its models in files.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from branches import Arrays
from emit import Emitter
from frameworks import Findings, findings
from gradients import TOLERANCE, Trainer, check_all, hash_of, relative_error, whole_gradient
from horovod_world import joined
from meeting import meeting

STOP_AFTER = 3
# Enough for the loss scale of 2^15 to come down to what a gradient takes in float16.
OVERFLOW_STEPS = 12
PARTS = {"torch": "torch", "keras": "keras", "legacy-keras": "keras"}


class Training(Trainer, Protocol):
    """Training by Horovod's optimizer."""

    def resumed(self, folder: Path) -> Arrays:
        """Train as `train` does in float32, but stop after STOP_AFTER steps: rank 0 writes a
        checkpoint, and fresh models of other seeds go on from it."""

    def state(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Give what a trained optimizer of the framework's holds, and Horovod's that is made of
        it."""


class KerasTraining(Training, Protocol):
    """Training in Keras."""

    def tape_gradient(self) -> Arrays:
        """Give the gradient by which a loop over Horovod's tape steps, in float64."""

    def loaded(self, folder: Path) -> Arrays:
        """Train as `resumed` does, from a file of the whole model, its optimizer with it."""

    def loaded_plain(self, folder: Path) -> Arrays:
        """Train as `train` does in float32, from a file of a model whose optimizer is Keras's."""

    def decayed(self) -> list[float]:
        """Give what a step of no gradient leaves of two ones: the first is excluded from decay."""

    def overflowed(self, steps: int) -> list[Arrays]:
        """Train in mixed float16 by steps of all, by one whose gradient overflows on rank 0 alone,
        and by steps of all: give the parameters after each of the three."""


def check_resume(found: Findings, training: Training, rank: int, world: int) -> None:
    """Compare a training that was stopped with one that was not."""
    check_bitwise(found, "resume_bitwise", training, training.resumed, rank, world)


def check_keras(found: Findings, training: KerasTraining, rank: int, world: int) -> None:
    """Compare what Horovod has for Keras alone with the whole batch, and with no stop."""
    wanted = whole_gradient(training.initial("float64"), world, partly=False)
    error, limit = relative_error(training.tape_gradient(), wanted), TOLERANCE["float64"]
    detail = f"max relative error {error:.1e}, limit {limit:.0e}"
    found.check("tape_gradient_float64", error <= limit, detail)
    check_bitwise(found, "load_model_bitwise", training, training.loaded, rank, world)
    check_bitwise(found, "load_plain_model_bitwise", training, training.loaded_plain, rank, world)
    check_decay(found, training)
    check_overflow(found, training, rank, world)


def check_state(found: Findings, training: Training) -> None:
    """Compare Horovod's optimizer with the trained one that it was made of."""
    held, given = training.state()
    kept = len(held) == len(given) and all(map(np.array_equal, held, given))
    found.check("optimizer_state", kept, f"{len(held)} variables, of Horovod's {len(given)}")


def check_decay(found: Findings, training: KerasTraining) -> None:
    """Ask that what is excluded from weight decay stays so."""
    excluded, other = training.decayed()
    detail = f"{excluded} of a parameter that is excluded, {other} of another, of 1.0"
    found.check("weight_decay_excluded", excluded == 1.0 > other, detail)


def check_overflow(found: Findings, training: KerasTraining, rank: int, world: int) -> None:
    """Ask that all ranks skip a step where the gradient of one overflows, and go on together."""
    before, after, end = map(hash_of, training.overflowed(OVERFLOW_STEPS))
    ends = meeting(rank, world).gather(end)
    skipped, moved, together = after == before, end != after, len(set(ends)) == 1
    detail = f"skipped {skipped}, then moved {moved}, together {together}"
    found.check("overflow_skipped_by_all", skipped and moved and together, detail)


def check_bitwise(
    found: Findings,
    check: str,
    training: Training,
    stopped: Callable[[Path], Arrays],
    rank: int,
    world: int,
) -> None:
    """Compare a training that goes on from files in a folder with one that was never stopped."""
    folder = Path(meeting(rank, world).gather(tempfile.mkdtemp() if rank == 0 else "")[0])
    again, never = hash_of(stopped(folder)), hash_of(training.train("float32")[0])
    detail = f"{again[:12]}, never stopped: {never[:12]}"
    found.check(check, again == never, detail)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=PARTS, required=True)
    framework = parser.parse_args().framework
    with (
        Emitter() as out,
        findings(out, [framework]) as found,
        joined(out, framework) as horovod,
    ):
        if horovod is None:
            return
        part: Any = importlib.import_module(f"horovod_training_{PARTS[framework]}")
        training = part.training(horovod, out)
        check_all(found, training, out.rank, out.world)
        check_resume(found, training, out.rank, out.world)
        check_state(found, training)
        if PARTS[framework] == "keras":
            check_keras(found, training, out.rank, out.world)


if __name__ == "__main__":
    main()
