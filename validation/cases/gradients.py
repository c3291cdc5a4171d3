"""Training on N ranks computes what one rank computes on the whole batch."""

from __future__ import annotations

import hashlib
import itertools
import math
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from branches import CHANNELS, Arrays, batch_of, gradient, shapes
from emit import Emitter
from frameworks import Findings, findings, of_the_stack, part
from meeting import meeting

SAMPLES_PER_RANK = 12
STEPS = 6
SEED = 7
EPOCHS = 2
# 2.2 MB of float64: DDP's first bucket takes 1 MiB, so that there is a second one.
WIDE = 4096
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

    uneven: bool
    """Whether it shares samples among ranks that their number does not divide by."""

    def initial(self, dtype: str, channels: int = CHANNELS) -> Arrays:
        """Draw the parameters that the others start from, on this rank alone, by SEED."""

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """Give the gradient that all ranks end up with, by parameter.

        Args:
            partly: only even ranks use the second head.
            micro_batches: in how many parts the shard is taken, before ranks communicate.
            channels: of the convolution.
        """

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """Give what this rank had of its own, and what it has once rank 0's was handed out.

        That is `parameters`, drawn by `own_seed`, and what else the framework hands out.
        """

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """Take STEPS steps by the framework's own SGD and schedule: parameters, and the rates."""

    def shards(self, count: int) -> list[list[int]]:
        """Give the numbers of the samples, of `count`, that the framework hands this rank in each
        of EPOCHS epochs, as it shuffles them."""


class Part(Protocol):
    """`gradients_<framework>.py`."""

    def trainer(self, out: Emitter) -> AbstractContextManager[Trainer]:
        """Join all ranks."""


def rates(world: int) -> list[float]:
    """Give the rate of each step: a warm-up to one that grows with the ranks, then half of it.

    Linear scaling and warm-up are those of Goyal et al. 2017 (arXiv:1706.02677).
    """
    peak = world / 64
    return [peak * min(step + 1, WARM_UP) / WARM_UP for step in range(WARM_UP)] + [peak / 2] * (
        STEPS - WARM_UP
    )


def own_seed(rank: int) -> int:
    """Give a seed that no other rank has."""
    return 100 * (rank + 1)


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
    wanted = shapes(arrays["bias"].size)
    return {name: arrays[name].astype(np.float64).reshape(shape) for name, shape in wanted.items()}


def relative_error(found: Arrays, wanted: Arrays) -> float:
    """Give the largest deviation, over the arrays, relative to each one's largest element.

    It is nan where anything is, which is within no limit; Python's `max` would pass over it.
    """
    errors = [
        np.abs(array - wanted[name]).max() / np.abs(wanted[name]).max()
        for name, array in exact(found).items()
    ]
    return float(np.max(errors))


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

    wanted = whole_gradient(trainer.initial("float64", WIDE), world, partly=False)
    error = relative_error(trainer.gradients("float64", channels=WIDE), wanted)
    size = sum(array.nbytes for array in wanted.values()) / 1e6
    detail = f"max relative error {error:.1e} in {size:.1f} MB, limit {TOLERANCE['float64']:.0e}"
    found.check("large_gradient_float64", error <= TOLERANCE["float64"], detail)


def check_broadcast(found: Findings, trainer: Trainer, rank: int, world: int) -> None:
    """Check that ranks of which each has something else go on with what rank 0 has."""
    mine = trainer.handed_out()
    hashes = {what: [hash_of(own), hash_of(got)] for what, (own, got) in mine.items()}
    told = meeting(rank, world).gather(hashes)
    right, details = True, []
    for what in mine:
        own, got = (list(each) for each in zip(*(each[what] for each in told), strict=True))
        right = right and len(set(own)) == world and got == [own[0]] * world
        details.append(f"{len(set(own))} {what} became {len(set(got))}")
    found.check("broadcast_parameters", right, f"of {world} ranks {', '.join(details)}")


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
    """Check that shards are disjoint and cover the data, and that each epoch has its own order.

    Where ranks do not divide the samples, some may be drawn again until all ranks have as many.
    """
    even = SAMPLES_PER_RANK * world
    right, details = True, []
    for count in (even, even + 1) if trainer.uneven else (even,):
        shards = meeting(rank, world).gather(trainer.shards(count))
        for epoch in zip(*shards, strict=True):
            seen = list(itertools.chain.from_iterable(epoch))
            enough = len(seen) in (count, math.ceil(count / world) * world)
            right = right and set(seen) == {*range(count)} and enough
            details.append(f"{len(set(seen))} of {count} samples, {len(seen)} drawn")
    found.check("shards", right, "; ".join(details))
    orders = {tuple(order) for order in shards[rank]}
    found.check("epochs", len(orders) == EPOCHS, f"{len(orders)} orders in {EPOCHS} epochs")


def check_all(found: Findings, trainer: Trainer, rank: int, world: int) -> None:
    """Ask everything of a way of training."""
    check_gradients(found, trainer, world)
    check_broadcast(found, trainer, rank, world)
    check_parameters(found, trainer, rank, world)
    check_shards(found, trainer, rank, world)


def main() -> None:
    """Run the case."""
    names = of_the_stack(__doc__)
    with Emitter() as out, findings(out, names) as found:
        for found.framework in names:
            each: Part = part("gradients", found.framework)
            with each.trainer(out) as trainer:
                check_all(found, trainer, out.rank, out.world)


if __name__ == "__main__":
    main()
