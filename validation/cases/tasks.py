"""What a training step needs, and how it is taken: the same for every model that is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import torch
from adversaries import Generation
from layerwise import optimizer_of
from science import Batch, Science, load
from torch import Tensor, nn

SEED = 1


class Model(Protocol):
    """A network, its data and its loss: what a step needs of `science.Science`."""

    def network(self) -> nn.Module:
        """Build the network, initialised by torch's random state."""

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw samples, the same on every machine."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the mean loss over samples."""


class Task(NamedTuple):
    """A model, and how it is trained.

    Args:
        model: what is trained.
        optimizer: its name and arguments, as for `layerwise.optimizer_of`.
        samples: of a rank in each step.
        duel: whether outputs are the losses of a critic and of its opponent, whose sum need not
            fall: the critic's must.
    """

    model: Model
    optimizer: dict[str, Any]
    samples: int
    duel: bool = False


def science(kind: type[Science], scale: str, samples: int, **sizes: int) -> Task:
    """Take a science model as its TOML file has it, but for some sizes."""
    model, training = load(kind, scale)
    sized: Model = replace(model, **sizes)  # type: ignore[type-var]
    return Task(sized, training.optimizer, samples, duel=issubclass(kind, Generation))


def steps(task: Task, wrap: Callable[[nn.Module], nn.Module]) -> Callable[[], float]:
    """Build a model: what trains it by a step on always the same batch, and gives its loss.

    Args:
        wrap: makes ranks share gradients.
    """
    torch.manual_seed(SEED)
    network = task.model.network()
    optimizer = optimizer_of(network, task.optimizer)
    batch = task.model.samples(SEED, range(task.samples))
    shared = wrap(network)

    def step() -> float:
        optimizer.zero_grad()
        outputs = shared(*batch.inputs)
        loss = task.model.loss(outputs, batch.labels)
        loss.backward()
        optimizer.step()
        return (outputs[0] if task.duel else loss).item()

    return step
