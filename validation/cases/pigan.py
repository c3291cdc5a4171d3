"""A physics-informed GAN learns a random diffusion's solutions without ever seeing one.

After Yang et al. 2018 (arXiv:1811.02033) and 2019 (arXiv:1910.13444): one network makes k, another
u, and the equation makes the force -(k u')' from both, by automatic differentiation. The critic
sees k at a few sensors and the force, so that a right u is the only way to fool it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from adversaries import Duel, Generation
from pigan_data import POINTS, X, correlation_length, fields, force, respond, solve
from science import Batch, Bound, Predictor, Scores
from torch import Tensor, nn
from trainer import main

SHOWN = 24
# An untrained network's length is a third too long, and its force, which should be 1 everywhere, is
# off by 0.8.
LENGTH_OFF, RESIDUAL = 0.15, 0.35


def perceptron(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Build `depth` hidden layers of tanh, and one output."""
    sizes = [inputs, *[width] * depth]
    hidden = [nn.Sequential(nn.Linear(a, b), nn.Tanh()) for a, b in pairwise(sizes)]
    return nn.Sequential(*hidden, nn.Linear(width, 1))


class Fields(nn.Module):
    """Two networks of place and noise: ln k, and u, which is zero at both ends by construction."""

    def __init__(self, noise: int, width: int, depth: int) -> None:
        """Build them."""
        super().__init__()
        self.log_k = perceptron(1 + noise, width, depth)
        self.u = perceptron(1 + noise, width, depth)
        self.register_buffer("x", torch.tensor(X, dtype=torch.float32))

    def at(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Give k and u (samples, points) at places x (samples, points)."""
        place = x[:, :, None]
        known = torch.cat([place, noise[:, None].expand(-1, x.shape[1], -1)], dim=2)
        u = (1 - x**2) * self.u(known).squeeze(2)
        return self.log_k(known).squeeze(2).exp(), u

    def forward(self, noise: Tensor) -> Tensor:
        """Give k and u on the whole grid: (samples, 2, POINTS)."""
        return torch.stack(self.at(self.x.expand(len(noise), -1), noise), dim=1)


class Players(Duel):
    """The Wasserstein game with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028)."""

    def __init__(self, generator: Fields, critic: nn.Module, k_at: Tensor, penalty: float) -> None:
        """Show the critic ln k at sensors k_at, and the force at all of them and between."""
        super().__init__(generator, critic)
        self.penalty = penalty
        self.register_buffer("k_at", k_at)

    def shown(self, noise: Tensor) -> Tensor:
        """Give ln k and the force of the generator's k and u at the sensors."""
        x = self.k_at.expand(len(noise), -1).requires_grad_()
        k, u = self.generator.at(x, noise)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (divergence,) = torch.autograd.grad((k * slope).sum(), x, create_graph=True)
        return torch.cat([k.log(), -divergence], dim=1)

    def critic_loss(self, real: Tensor, fake: Tensor, dice: Tensor) -> Tensor:
        """Tell fakes from truth, by a function nowhere steeper than 1."""
        between = torch.lerp(real, fake, dice).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        steep = (slope.norm(dim=1) - 1).square().mean()
        opinion: Tensor = self.critic(fake).mean() - self.critic(real).mean()
        return opinion + self.penalty * steep

    def generator_loss(self, opinion: Tensor) -> Tensor:
        """Please the critic."""
        return -opinion.mean()


@dataclass(frozen=True)
class Diffusion(Generation):
    """Random diffusion, whose solutions follow from snapshots of k at a few sensors."""

    noise: int
    width: int
    depth: int
    sensors: int
    penalty: float

    metric = "error of mean, spread and length"
    per_file = 4096
    classical = "perturbation"

    def network(self) -> nn.Module:
        """Build both players."""
        generator = Fields(self.noise, self.width, self.depth)
        critic = perceptron(2 * self.sensors, self.width, self.depth)
        return Players(generator, critic, self._places(), self.penalty)

    def drawn(self, seed: int, index: int) -> np.ndarray:
        """Draw a snapshot."""
        return fields(seed, index)

    def _places(self) -> Tensor:
        """Give the sensors' places, points of the grid."""
        return torch.tensor(X[self._rows()], dtype=torch.float32)

    def _rows(self) -> np.ndarray:
        return np.linspace(0, POINTS - 1, self.sensors).round().astype(int)

    def batch(self, seed: int, indices: Sequence[int], drawn: np.ndarray) -> Batch:
        """Join what the critic sees, the chances, and the truth (samples, 2, POINTS)."""
        log_k = np.log(drawn[:, 0, self._rows()])
        seen = np.concatenate([log_k, np.ones_like(log_k)], axis=1)
        chances = self.chances(seed, indices)
        return Batch((torch.from_numpy(seen), *chances), torch.from_numpy(drawn))

    def summary(self, batch: Batch) -> np.ndarray:
        """Give k at the sensors."""
        return batch.inputs[0][:, : self.sensors].exp().numpy()

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Take k's mean, and solve to first order about it."""
        del labels
        means = self._everywhere(summaries.mean(axis=0)[None])[0]

        def predict(unseen: np.ndarray) -> np.ndarray:
            k = self._everywhere(unseen)
            return np.stack([k, respond(k, means)], axis=1)

        return predict

    def _everywhere(self, at_sensors: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(X, X[self._rows()], values) for values in at_sensors])

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give the mean of k, as if it were not random, and its u."""
        k = labels[:, 0].mean(axis=0)
        return np.stack([k, solve(k)])

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Compare distributions with Monte Carlo; the residual is the mean square's root."""
        (found_k, found), (true_k, true) = (
            np.moveaxis(values.astype(float), 1, 0) for values in (predictions, labels)
        )
        mean, spread = (
            float(np.linalg.norm(of(found) - of(true)) / np.linalg.norm(of(true)))
            for of in (lambda u: u.mean(axis=0), lambda u: u.std(axis=0))
        )
        lengths = [correlation_length(np.log(k)) for k in (found_k, true_k)]
        length = abs(lengths[0] / lengths[1] - 1)
        residual = np.sqrt(np.square(force(found_k, found) - 1).mean())
        return {
            self.metric: (mean + spread + length) / 3,
            "error of mean": mean,
            "error of spread": spread,
            "error of correlation length": length,
            "residual": float(residual),
        }

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Have u's distribution, k's length, and the equation."""
        error = network[self.metric]
        return {
            "half_of_trivial": Bound(error, "<=", 0.5 * trivial[self.metric]),
            "beats_perturbation": Bound(error, "<", classical[self.metric]),
            "correlation_length": Bound(network["error of correlation length"], "<", LENGTH_OFF),
            "residual": Bound(network["residual"], "<", RESIDUAL),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show nothing of one batch: distributions are compared by all samples."""
        del model, batch
        return {}

    def plots(self, predictions: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Show spread and mean of u along x beside those of Monte Carlo, and some solutions."""
        made, responded, _ = predictions.values()
        of = {"Monte Carlo": labels, "generated": made, self.classical: responded}
        moments = {
            f"{name} of u along x": {
                "lines": {
                    who: [np.column_stack([X, moment(drawn[:, 1], axis=0)]).tolist()]
                    for who, drawn in of.items()
                },
                "xlabel": "x",
                "ylabel": f"{name} of u",
            }
            for name, moment in (("spread", np.std), ("mean", np.mean))
        }
        solutions = {
            "images": {
                name: sorted(drawn[:SHOWN, 1, ::2].tolist(), key=max)
                for name, drawn in (("true", labels), ("generated", made))
            },
            "xlabel": "x",
            "ylabel": f"{SHOWN} draws, by height",
        }
        return moments | {"solutions u": solutions}


if __name__ == "__main__":
    main(Diffusion)
