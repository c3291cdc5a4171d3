"""What a science model is: a network, data with known truth, and a criterion.

A model is a subclass of `Science` beside a TOML file that holds its sizes and hyper-parameters with
their sources. TOML, because Python reads it by itself: an image holds no YAML reader.
"""

from __future__ import annotations

import inspect
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import layerwise
import numpy as np
import tomllib
import torch
from torch import Tensor, nn

SENSES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

Scores = dict[str, float]
Predictor = Callable[[np.ndarray], np.ndarray]


class Batch(NamedTuple):
    """Some samples: what the network is called with, and the truth, a row for each prediction."""

    inputs: tuple[Tensor, ...]
    labels: Tensor


Reader = Callable[[Sequence[int]], Batch]


class Curves(NamedTuple):
    """Named curves over a common x, for the report."""

    xlabel: str
    ylabel: str
    x: Sequence[float]
    y: Mapping[str, Sequence[float]]


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


class Science(ABC):
    """A network, its data and its criterion; subclasses are dataclasses of sizes."""

    metric: ClassVar[str]
    """The score that the learning curve shows."""
    classical: ClassVar[str]
    """What the baseline without a network is called."""
    baseline_samples: ClassVar[int] = 1 << 17
    """To how many training samples the baseline is fitted, at most."""

    @abstractmethod
    def network(self) -> nn.Module:
        """Build the network, initialised by torch's random state."""

    @abstractmethod
    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw samples of the endless set `seed`, the same on every rank and machine."""

    def data(self, seed: int, count: int, rank: int, world: int) -> AbstractContextManager[Reader]:
        """Make the first `count` samples readable by index; unless overridden, by drawing them."""
        del count, rank, world
        return nullcontext(partial(self.samples, seed))

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the mean loss over samples: ranks with as many samples each can be averaged."""

    @abstractmethod
    def summary(self, batch: Batch) -> np.ndarray:
        """Give what the classical baseline sees: a row for each label."""

    @abstractmethod
    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit the classical baseline."""

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give what is predicted for anything if nothing is seen: the mean of training labels."""
        mean: np.ndarray = labels.mean(axis=0)
        return mean

    @abstractmethod
    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Compare any predictor's predictions with the truth."""

    @abstractmethod
    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Say what a model that learnt something fulfils, as named checks."""

    @abstractmethod
    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show what was learnt on held-out samples: matrices, for the report."""

    def curves(self, model: nn.Module, batch: Batch) -> dict[str, Curves]:
        """Draw what was learnt on held-out samples; unless overridden, nothing."""
        del model, batch
        return {}


@dataclass(frozen=True)
class Training:
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
        """Refuse what would leave samples out.

        Raises:
            ValueError: if the batch does not divide the samples.
        """
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

    def start(self, model: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Make the optimizer and its schedule."""
        options = dict(self.optimizer)
        name = options.pop("name")
        kind = getattr(layerwise, name, None) or getattr(torch.optim, name)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = kind(parameters, **options)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)


Kind = TypeVar("Kind", bound=Science)


def name_of(kind: type[Science]) -> str:
    """Give a model's name: that of its script."""
    return Path(inspect.getfile(kind)).stem


def load(kind: type[Kind], scale: str) -> tuple[Kind, Training]:
    """Read a model's sizes and hyper-parameters from the TOML file beside its script.

    Args:
        scale: `small` or `full`.
    """
    file = Path(inspect.getfile(kind)).with_suffix(".toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))[scale]
    return kind(**_hashable(table["model"])), Training(**_hashable(table["training"]))


def _hashable(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
