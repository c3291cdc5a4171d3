"""What a science model is: a network, data with known truth, and a criterion.

A model is a subclass of `Science` beside a TOML file that holds its sizes and hyper-parameters with
their sources. TOML, because Python reads it by itself: an image holds no YAML reader.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import sizes
import torch
from layerwise import flaw, optimizer_of
from torch import Tensor, nn
from training import Bound, Schedule

Scores = dict[str, float]
Predictor = Callable[[np.ndarray], np.ndarray]


class Batch(NamedTuple):
    """Some samples: what the network is called with, and the truth, a row for each prediction."""

    inputs: tuple[Tensor, ...]
    labels: Tensor


Reader = Callable[[Sequence[int]], Batch]


class MlPerf(NamedTuple):
    """What MLPerf's logs call a model, and its score; a model of no benchmark has its own name."""

    benchmark: str = ""
    score: str = "eval_score"


class Science(ABC):
    """A network, its data and its criterion; subclasses are dataclasses of sizes."""

    metric: ClassVar[str]
    """The score that the learning curve shows."""
    classical: ClassVar[str]
    """What the baseline without a network is called."""
    baseline_samples: ClassVar[int] = 1 << 17
    """To how many training samples the baseline is fitted, at most."""
    mlperf: ClassVar[MlPerf] = MlPerf()
    """Its names in MLPerf's logs."""

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
        """Show what was learnt on held-out samples, beside the truth; the most telling one first.

        What a picture is: docs/formats.md, "Pictures".
        """

    def plots(self, predictions: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Show how all predictors do on all held-out samples, as further pictures; if need be."""
        del predictions, labels
        return {}


class Training(Schedule):
    """A schedule, and an optimizer of PyTorch that follows it."""

    def start(self, model: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Make the optimizer and its schedule."""
        optimizer = optimizer_of(model, self.optimizer)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)


Kind = TypeVar("Kind", bound=Science)


def name_of(kind: type[Science]) -> str:
    """Give a model's name: that of its script."""
    return Path(inspect.getfile(kind)).stem


def file_of(kind: type[Science]) -> Path:
    """Give the TOML file beside a model's script, with its sizes and hyper-parameters."""
    return Path(inspect.getfile(kind)).with_suffix(".toml")


def scales(kind: type[Science]) -> list[str]:
    """Give what a model can be made and trained as.

    Raises:
        SystemExit: its file is no TOML.
    """
    return list(sizes.read(file_of(kind)))


def load(kind: type[Kind], scale: str) -> tuple[Kind, Training]:
    """Make a model and its training.

    Args:
        scale: a table of its TOML file: `small`, `full`, and for benchmarks of MLPerf `mlperf`.

    Raises:
        SystemExit: the file has a mistake.
    """
    file = file_of(kind)
    science, training = sizes.load(file, scale, kind, Training)
    if mistake := flaw(training.optimizer):
        sizes.refuse(f"{file}: [{scale}.training]: optimizer: {mistake}")
    return science, training
