"""Training on N ranks computes what one rank computes on the whole batch."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from branches import SHAPES, Arrays, batch_of, gradient
from emit import Emitter
from frameworks import Findings, findings, of_the_stack, part
from meeting import meeting

SAMPLES_PER_RANK = 12
STEPS = 6
SEED = 7
# Powers of two, which every framework's rates hold exactly.
MOMENTUM = 0.875
WARM_UP = 4
# Reassociation of a sum over the batch: some tens of units in the last place.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
# Some frameworks hold rates in float32.
RATE_TOLERANCE = 1e-6


class Trainer(Protocol):
    """Distributed training of the network of branches.py by one framework, on this rank's shard."""

    rate_in_velocity: bool
    """Whether its SGD multiplies slopes by the rate of their own step, as Keras does after
    Sutskever et al. 2013, or what they add up to by the present one, as PyTorch and Optax do."""

    def initial(self, dtype: str) -> Arrays:
        """Draw the parameters that the others start from, on this rank alone, by SEED."""

    def gradients(self, dtype: str, *, partly: bool = False, micro_batches: int = 1) -> Arrays:
        """Give the gradient that all ranks end up with, by parameter.

        Args:
            partly: only even ranks use the second head.
            micro_batches: in how many parts the shard is taken, before ranks communicate.
        """

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """Take STEPS steps by the framework's own SGD and schedule: parameters, and the rates."""

    def shard(self, count: int) -> list[int]:
        """Give the numbers of the samples, of `count`, that the framework hands this rank."""


class Part(Protocol):
    """`gradients_<framework>.py`."""

    def trainer(self, out: Emitter) -> AbstractContextManager[Trainer]:
        """Join all ranks."""


def rates(world: int) -> list[float]:
    """Give the rate of each step: a warm-up to one that grows with the ranks, then half of it.

    Linear scaling and warm-up are those of Goyal et al. 2017 (arXiv:1706.02677).
    """
    peak = world / 32
    return [peak * min(step + 1, WARM_UP) / WARM_UP for step in range(WARM_UP)] + [peak / 2] * (
        STEPS - WARM_UP
    )


def share(array: np.ndarray, rank: int) -> np.ndarray:
    """Give a rank's part of the batch."""
    return array[rank * SAMPLES_PER_RANK : (rank + 1) * SAMPLES_PER_RANK]


def uses_second(world: int, partly: bool) -> np.ndarray:
    """Say for each sample of the batch whether its rank uses the second head."""
    ranks = np.repeat(np.arange(world), SAMPLES_PER_RANK)
    return np.where(partly & (ranks % 2 == 1), 0.0, 1.0)


def whole_gradient(initial: Arrays, world: int, partly: bool) -> Arrays:
    """Compute the gradient of the whole batch, without any framework."""
    batch, target = batch_of(SAMPLES_PER_RANK * world)
    return gradient(exact(initial), batch, target, uses_second(world, partly))


def trained_alone(initial: Arrays, world: int, rate_in_velocity: bool) -> Arrays:
    """Train on the whole batch, without any framework."""
    parameters = exact(initial)
    velocity = {name: np.zeros_like(array) for name, array in parameters.items()}
    batch, target = batch_of(SAMPLES_PER_RANK * world)
    for rate in rates(world):
        slope = gradient(parameters, batch, target, uses_second(world, partly=False))
        for name in parameters:
            before, after = (rate, 1.0) if rate_in_velocity else (1.0, rate)
            velocity[name] = MOMENTUM * velocity[name] + before * slope[name]
            parameters[name] = parameters[name] - after * velocity[name]
    return parameters


def exact(arrays: Arrays) -> Arrays:
    """Give arrays in float64, in the shapes of branches.py.

    Raises:
        ValueError: one has another number of elements.
    """
    return {name: arrays[name].astype(np.float64).reshape(shape) for name, shape in SHAPES.items()}


def relative_error(found: Arrays, wanted: Arrays) -> float:
    """Give the largest deviation, over the arrays, relative to each one's largest element."""
    return max(
        float(np.abs(array - wanted[name]).max() / np.abs(wanted[name]).max())
        for name, array in exact(found).items()
    )


def hash_of(arrays: Arrays) -> str:
    """Hash the bytes of all parameters."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def check_gradients(found: Findings, trainer: Trainer, world: int) -> None:
    """Compare the mean gradient with the whole batch's, in the ways that users train."""
    for dtype, limit in TOLERANCE.items():
        initial = trainer.initial(dtype)
        whole, partial = (whole_gradient(initial, world, partly) for partly in (False, True))
        computed = {
            "mean_gradient": (trainer.gradients(dtype), whole),
            "accumulated_gradient": (trainer.gradients(dtype, micro_batches=3), whole),
            "unused_parameters": (trainer.gradients(dtype, partly=True), partial),
        }
        for check, (got, wanted) in computed.items():
            error = relative_error(got, wanted)
            detail = f"max relative error {error:.1e}, limit {limit:.0e}"
            found.check(f"{check}_{dtype}", error <= limit, detail)


def check_parameters(found: Findings, trainer: Trainer, rank: int, world: int) -> None:
    """Compare the parameters after training: with one rank's, over the ranks, over two runs."""
    trained, used = trainer.train("float64")
    alone = trained_alone(trainer.initial("float64"), world, trainer.rate_in_velocity)
    error, limit = relative_error(trained, alone), TOLERANCE["float64"]
    detail = f"max relative error {error:.1e} after {STEPS} steps, limit {limit:.0e}"
    found.check("trained_parameters", error <= limit, detail)

    right = np.allclose(used, rates(world), rtol=RATE_TOLERANCE, atol=0)
    steps = ", ".join(f"{rate:g}" for rate in used)
    found.check("learning_rates", len(used) == STEPS and bool(right), f"{steps} in {STEPS} steps")

    first, second = (hash_of(trainer.train("float32")[0]) for _ in range(2))
    distinct = len(set(meeting(rank, world).gather(first)))
    found.check("equal_parameters", distinct == 1, f"{distinct} distinct on {world} ranks")
    found.check("repeatable", first == second, f"{first[:12]} and {second[:12]} in two runs")


def check_shards(found: Findings, trainer: Trainer, rank: int, world: int) -> None:
    """Check that the shards are disjoint and cover the data."""
    count = SAMPLES_PER_RANK * world
    shards = meeting(rank, world).gather([int(index) for index in trainer.shard(count)])
    seen = sorted(itertools.chain.from_iterable(shards))
    told = f"{len(set(seen))} of {count} samples, {len(seen)} drawn"
    found.check("shards", seen == list(range(count)), told)


def main() -> None:
    """Run the case."""
    names = of_the_stack(__doc__)
    with Emitter() as out, findings(out, names) as found:
        for found.framework in names:
            each: Part = part("gradients", found.framework)
            with each.trainer(out) as trainer:
                check_gradients(found, trainer, out.world)
                check_parameters(found, trainer, out.rank, out.world)
                check_shards(found, trainer, out.rank, out.world)


if __name__ == "__main__":
    main()
