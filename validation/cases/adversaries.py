"""Generative adversarial networks on the trainer that all models share: two players, one module.

Generator and critic take their steps at once, each from the other as it was: one backward pass
gives both gradients (algorithm 1 of Nowozin et al. 2016, arXiv:1606.00709). So a duel is trained by
one optimizer and averaged over ranks by one DDP, like any network. All randomness comes with the
samples, so that it is the same on any number of ranks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from science import Batch, Reader, Science
from shards import NpyFiles, stored, write_npy
from torch import Tensor, nn
from torch.func import functional_call

# How much of the averaged generator a step keeps.
KEPT = 0.99


class Duel(nn.Module):
    """A generator and its critic; in training gives both losses, else what the generator makes.

    Players go around in circles, whose middle is better than any point of them: what is judged is
    the generator of averaged weights (Yazici et al. 2019, arXiv:1806.04498).
    """

    def __init__(self, generator: nn.Module, critic: nn.Module) -> None:
        """Pit them against each other."""
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.average = deepcopy(generator).requires_grad_(False)

    def forward(self, real: Tensor, noise: Tensor, dice: Tensor) -> Tensor:
        """Play one round.

        Args:
            real: what the critic sees of the truth (samples, ...).
            noise: what the generator starts from (samples, z).
            dice: uniform in [0, 1) (samples, 1), for chances that the losses take.

        Returns:
            Losses (2) of critic and generator, neither of which moves the other; after training
            what the generator makes for its user.
        """
        if not self.training:
            made: Tensor = self.average(noise)
            return made
        self._follow()
        fake = self.shown(noise)
        # A critic whose parameters are constants, through which the generator learns.
        fixed = {name: value.detach() for name, value in self.critic.named_parameters()}
        opinion = functional_call(self.critic, fixed, fake)
        losses = self.critic_loss(real, fake.detach(), dice), self.generator_loss(opinion)
        return torch.stack(losses)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards where the generator's last step led."""
        current = self.generator.state_dict()
        for name, mean in self.average.state_dict().items():
            # But for counts of batches, which mean nothing here.
            if mean.is_floating_point():
                mean.lerp_(current[name], 1 - KEPT)

    def shown(self, noise: Tensor) -> Tensor:
        """Give what the critic sees of the generator's work; unless overridden, all of it."""
        work: Tensor = self.generator(noise)
        return work

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor, dice: Tensor) -> Tensor:
        """Say how badly the critic tells truth from fakes."""

    @abstractmethod
    def generator_loss(self, opinion: Tensor) -> Tensor:
        """Say how badly the generator's work fools the critic."""


class Generation(Science):
    """Learns a distribution: predictions and labels are compared as two sets, not one by one."""

    noise: int
    per_file: ClassVar[int]
    """Draws in a file of data."""

    @abstractmethod
    def drawn(self, seed: int, index: int) -> np.ndarray:
        """Draw from the truth: one of the endless set `seed`."""

    @abstractmethod
    def batch(self, seed: int, indices: Sequence[int], drawn: np.ndarray) -> Batch:
        """Join what the critic sees, the chances, and the truth."""

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw samples without a file."""
        return self.batch(seed, indices, np.stack([self.drawn(seed, i) for i in indices]))

    @contextmanager
    def data(self, seed: int, count: int, rank: int, world: int) -> Iterator[Reader]:
        """Write the draws to npy files, and stream them from there."""

        def write(file: Path, indices: range) -> None:
            write_npy(file, [self.drawn(seed, i) for i in indices])

        with stored(count, self.per_file, write, rank, world) as files:
            read = NpyFiles(files).read
            yield lambda indices: self.batch(seed, indices, read(indices))

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the sum of both players' losses."""
        del labels
        return outputs.sum()

    def chances(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Draw the samples' noise (samples, z) and dice (samples, 1)."""
        drawn = [np.random.default_rng([seed, index, 1]) for index in indices]
        noise = np.stack([rng.standard_normal(self.noise, np.float32) for rng in drawn])
        dice = np.stack([rng.random(1, np.float32) for rng in drawn])
        return torch.from_numpy(noise), torch.from_numpy(dice)
