"""Training with Horovod computes what one rank computes on the whole batch, in each framework.

A part for each framework has what its users write: `horovod_training_torch.py`,
`horovod_training_keras.py` (Keras 3, and legacy Keras in its place). The truth is NumPy's
(`branches.py`), which shares nothing with any of them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from branches import SHAPES, Arrays, batch_of, gradient
from emit import Emitter, listed
from horovod_world import joined
from meeting import meeting

SAMPLES_PER_RANK = 12
MICRO_BATCHES = 3
STEPS = 6
STOP_AFTER = 3
# A power of two, which every framework's rates hold exactly.
MOMENTUM = 0.875
WARM_UP = 4
# Reassociation of a sum over the batch: some tens of units in the last place.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
# Some frameworks hold rates in float32.
RATE_TOLERANCE = 1e-6
PARTS = {"torch": "torch", "keras": "keras", "legacy-keras": "keras"}


class Training(Protocol):
    """Training of the network of branches.py on this rank's shard, by Horovod's optimizer."""

    rate_in_velocity: bool
    """Whether its SGD multiplies slopes by the rate of their own step, as Keras does, or what they
    add up to by that of the present step, as PyTorch does."""

    def gradients(self, dtype: str, micro_batches: int) -> Arrays:
        """Give the mean gradient that the optimizer is left with, by parameter.

        Args:
            micro_batches: in how many parts the shard is taken, before ranks communicate.
        """

    def broadcast(self) -> Arrays:
        """Give the parameters of a model that each rank drew by another seed, once rank 0's were
        broadcast."""

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """Take STEPS steps by the framework's SGD and schedule: parameters, and the rates."""

    def resumed(self, folder: Path) -> Arrays:
        """Train as `train` does in float32, but stop after STOP_AFTER steps: rank 0 writes a
        checkpoint, and fresh models of other seeds go on from it."""

    def shard(self, count: int) -> list[int]:
        """Give the numbers of the samples, of `count`, that the framework hands this rank."""


def initial() -> Arrays:
    """Draw the parameters that all start from."""
    rng = np.random.default_rng(7)
    return {name: rng.normal(scale=0.3, size=shape) for name, shape in SHAPES.items()}


def rates(world: int) -> list[float]:
    """Give the rate of each step: a warm-up to one that grows with the ranks, then half of it.

    Linear scaling and warm-up are those of Goyal et al. 2017 (arXiv:1706.02677).
    """
    peak = world / 32
    warm_up = [peak * (step + 1) / WARM_UP for step in range(WARM_UP)]
    return warm_up + [peak / 2] * (STEPS - WARM_UP)


def shard_of(rank: int, world: int) -> tuple[np.ndarray, np.ndarray]:
    """Give a rank's part of the whole batch."""
    mine = slice(rank * SAMPLES_PER_RANK, (rank + 1) * SAMPLES_PER_RANK)
    batch, target = batch_of(SAMPLES_PER_RANK * world)
    return batch[mine], target[mine]


def whole_gradient(parameters: Arrays, world: int) -> Arrays:
    """Compute the gradient of the whole batch, without any framework; both heads are used."""
    count = SAMPLES_PER_RANK * world
    return gradient(parameters, *batch_of(count), np.ones(count))


def trained_alone(world: int, rate_in_velocity: bool) -> Arrays:
    """Train on the whole batch, without any framework."""
    parameters = initial()
    velocity = {name: np.zeros_like(array) for name, array in parameters.items()}
    for rate in rates(world):
        before, after = (rate, 1.0) if rate_in_velocity else (1.0, rate)
        for name, slope in whole_gradient(parameters, world).items():
            velocity[name] = MOMENTUM * velocity[name] + before * slope
            parameters[name] = parameters[name] - after * velocity[name]
    return parameters


def relative_error(found: Arrays, wanted: Arrays) -> float:
    """Give the largest deviation, over the arrays, relative to each one's largest element."""
    return max(
        float(np.abs(found[name] - array).max() / np.abs(array).max())
        for name, array in wanted.items()
    )


def hash_of(arrays: Arrays) -> str:
    """Hash the bytes of all parameters."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def check_gradients(out: Emitter, training: Training) -> None:
    """Compare the mean gradient with the whole batch's."""
    wanted = whole_gradient(initial(), out.world)
    for dtype, limit in TOLERANCE.items():
        for name, parts in (("mean_gradient", 1), ("accumulated_gradient", MICRO_BATCHES)):
            error = relative_error(training.gradients(dtype, parts), wanted)
            detail = f"max relative error {error:.1e}, limit {limit:.0e}"
            out.check(f"{name}_{dtype}", error <= limit, detail)


def check_parameters(out: Emitter, training: Training) -> None:
    """Compare the parameters after training: with one rank's, over the ranks, over two runs."""
    trained, used = training.train("float64")
    error = relative_error(trained, trained_alone(out.world, training.rate_in_velocity))
    limit = TOLERANCE["float64"]
    detail = f"max relative error {error:.1e} after {STEPS} steps, limit {limit:.0e}"
    out.check("trained_parameters", error <= limit, detail)

    wanted = rates(out.world)
    right = len(used) == STEPS and np.allclose(used, wanted, rtol=RATE_TOLERANCE, atol=0)
    out.check("learning_rates", right, f"{listed(f'{rate:g}' for rate in used)}")

    first, second = (training.train("float32")[0] for _ in range(2))
    check_equal(out, "equal_parameters", first)
    same = hash_of(first) == hash_of(second)
    out.check("repeatable", same, f"{hash_of(first)[:12]} and {hash_of(second)[:12]} in two runs")
    check_equal(out, "broadcast_parameters", training.broadcast())

    made = [tempfile.mkdtemp() if out.rank == 0 else ""]
    folder = Path(meeting(out.rank, out.world).gather(made[0])[0])
    again = hash_of(training.resumed(folder))
    detail = f"{again[:12]}, never stopped: {hash_of(first)[:12]}"
    out.check("resume_bitwise", again == hash_of(first), detail)


def check_equal(out: Emitter, name: str, arrays: Arrays) -> None:
    """Check that parameters are the same on all ranks."""
    distinct = len(set(meeting(out.rank, out.world).gather(hash_of(arrays))))
    out.check(name, distinct == 1, f"{distinct} distinct on {out.world} ranks")


def check_shards(out: Emitter, training: Training) -> None:
    """Check that the shards are disjoint and cover the data."""
    count = SAMPLES_PER_RANK * out.world
    mine = [int(index) for index in training.shard(count)]
    seen = sorted(itertools.chain.from_iterable(meeting(out.rank, out.world).gather(mine)))
    told = f"{len(set(seen))} of {count} samples, {len(seen)} drawn"
    out.check("shards", seen == list(range(count)), told)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=PARTS, required=True)
    framework = parser.parse_args().framework
    with Emitter() as out, joined(out, framework) as horovod:
        if horovod is None:
            return
        part: Any = importlib.import_module(f"horovod_training_{PARTS[framework]}")
        training: Training = part.training(horovod, out)
        check_gradients(out, training)
        check_parameters(out, training)
        check_shards(out, training)


if __name__ == "__main__":
    main()
