"""A science model's training, whatever framework does it: its shares, schedule and criterion."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from convergence import usual

SENSES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Bound(NamedTuple):
    """What a measured value must be to a limit: `<`, `<=`, `>` or `>=`."""

    value: float
    sense: str
    limit: float

    def holds(self) -> bool:
        """Tell whether it is; nan never is."""
        return bool(SENSES[self.sense](self.value, self.limit))

    def __str__(self) -> str:
        """Show the comparison."""
        return f"{self.value:.4g} {self.sense} {self.limit:.4g}"


@dataclass(frozen=True)
class Schedule:
    """Hyper-parameters that every model has; samples are counted over all ranks.

    Args:
        optimizer: a class of `torch.optim` or layerwise.py as `name`, and its arguments.
        warm_up: the part of all steps over which the learning rate rises linearly; a cosine to
            zero follows.
        evaluations: how often the held-out samples are scored, besides before the first step.
        target: the score whose first crossing is timed.
        reference: after how many samples ten other seeds crossed it (`convergence`).
    """

    train_samples: int
    test_samples: int
    epochs: int
    batch: int
    optimizer: dict[str, Any]
    warm_up: float
    evaluations: int
    target: float
    reference: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would leave samples out, or could not be trained or judged.

        Raises:
            ValueError: if the batch does not divide the samples, a count is not positive, or a
                reference is of another number of runs than ten.
        """
        for name in ("train_samples", "test_samples", "epochs", "batch", "evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"'{name}' is {getattr(self, name)}, not at least 1")
        if not 0 <= self.warm_up <= 1:
            raise ValueError(f"'warm_up' is {self.warm_up}, not a part of all steps: from 0 to 1")
        if self.reference:
            usual(self.reference, 1)
        if self.train_samples % self.batch:
            raise ValueError(
                f"{self.train_samples} samples are no multiple of a batch of {self.batch}"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in which every sample is seen once."""
        return self.train_samples // self.batch

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.epochs * self.steps_per_epoch

    def examined(self) -> frozenset[int]:
        """Give the steps after which the held-out samples are scored."""
        return frozenset(np.linspace(0, self.steps, self.evaluations + 1).astype(int).tolist())

    def rate(self, step: int) -> float:
        """Scale the learning rate: linear warm-up, then a cosine to zero."""
        warm = self.warm_up * self.steps
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))

    def shares(self, seed: int, rank: int, world: int) -> Iterator[list[int]]:
        """Give the samples of this rank in each step: every `world`-th of a shuffled epoch's batch.

        Raises:
            ValueError: if the ranks cannot share a batch evenly (the mean over ranks would then
                not be the mean over samples).
        """
        if self.batch % world:
            raise ValueError(f"a batch of {self.batch} does not divide by {world} ranks")
        for epoch in range(self.epochs):
            order = np.random.default_rng([seed, epoch]).permutation(self.train_samples)
            yield from order.reshape(-1, self.batch)[:, rank::world].tolist()

    def held_out(self, rank: int, world: int) -> range:
        """Give this rank's share of the samples that are never trained on."""
        return range(self.train_samples + rank, self.train_samples + self.test_samples, world)
