"""Amortised inference: a network learns the posterior of a simulator that branches.

As in etalumis (Baydin et al. 2019, arXiv:1907.03382) an LSTM follows the simulator's trace, draw by
draw, and proposes the next draw from what was observed. The simulator is small enough to have its
posterior in closed form: it draws a branch, then a mean from the branch's normal distribution, then
two observations about the mean. The first branch is that of the tests of etalumis' own software,
pyprob: N(1, 5) observed with variance 2; after the observations 8 and 9 its posterior is
N(7.25, 1/1.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from science import Batch, Bound, Predictor, Science, Scores
from torch import Tensor, nn
from trainer import main

# Of each branch: the mean and the variance of what is drawn there. Branches are equally likely.
MEANS = np.array([1.0, 4.0])
VARIANCES = np.array([5.0, 0.05])
NOISE = 2.0
OBSERVATIONS = 2
GRID = np.linspace(-12, 14, 521)
KNOWN = (8.0, 9.0)
# Pairs whose posteriors are shown.
OBSERVED = {
    (6.0, 7.0): "Either branch may be meant.",
    KNOWN: "Of the training samples one in some 2000 has observations whose mean lies so far out.",
}
IN_SIGHT = (GRID > -1) & (GRID < 12)
LARGEST_DIVERGENCE = 0.25
THINNED = 8


def posterior(observed: np.ndarray) -> np.ndarray:
    """Give the posterior density of the mean on GRID, branches summed over.

    Args:
        observed: shape (samples, OBSERVATIONS).

    Returns:
        Shape (samples, grid).
    """
    precision = 1 / VARIANCES + OBSERVATIONS / NOISE
    middle = (MEANS / VARIANCES + observed.sum(axis=1, keepdims=True) / NOISE) / precision
    spread = VARIANCES + NOISE / OBSERVATIONS
    off = observed.mean(axis=1, keepdims=True) - MEANS
    log_weight = -0.5 * (off**2 / spread + np.log(spread))
    log_width = np.broadcast_to(-0.5 * np.log(precision), middle.shape)
    return mixture(np.hstack([log_weight, middle, log_width]))


def mixture(parameters: np.ndarray) -> np.ndarray:
    """Give the density on GRID of mixtures of normals: columns of ln weights, means, ln stds."""
    log_weight, middle, log_width = np.split(parameters[..., None], 3, axis=1)
    log_density = log_weight - log_width - 0.5 * ((GRID - middle) / np.exp(log_width)) ** 2
    density = np.exp(log_density - log_density.max(axis=(1, 2), keepdims=True)).sum(axis=1)
    normalised: np.ndarray = density / np.trapezoid(density, GRID, axis=1)[:, None]
    return normalised


def trace(seed: int, index: int) -> np.ndarray:
    """Run the simulator as sample `index` of the endless set `seed`: branch, mean, observations."""
    rng = np.random.default_rng([seed, index])
    branch = rng.integers(len(MEANS))
    mean = rng.normal(MEANS[branch], math.sqrt(VARIANCES[branch]))
    observed = rng.normal(mean, math.sqrt(NOISE), OBSERVATIONS)
    return np.array([branch, mean, *observed], dtype=np.float32)


class Network(nn.Module):
    """An LSTM that proposes each draw of the simulator, with a layer for each of its addresses."""

    def __init__(self, hidden: int, components: int) -> None:
        """Build it; a mean's proposal is a mixture of `components` normals."""
        super().__init__()
        branches = len(MEANS)
        self.observe = nn.Sequential(
            nn.Linear(OBSERVATIONS, hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )
        self.address = nn.Parameter(torch.randn(1 + branches, hidden))
        self.lstm = nn.LSTMCell(2 * hidden, hidden)
        self.branch = nn.Linear(hidden, branches)
        self.means = nn.ModuleList(nn.Linear(hidden, 3 * components) for _ in range(branches))

    def forward(self, observed: Tensor) -> Tensor:
        """Propose branch and mean together.

        Args:
            observed: (samples, OBSERVATIONS).

        Returns:
            ln weights, means and ln stds of all branches' components: (samples, 3 * branches *
            components).
        """
        seen = self.observe(observed / 4)
        first = self._step(seen, 0, None)
        log_branch = torch.log_softmax(self.branch(first[0]), dim=1)
        found = []
        for i, layer in enumerate(self.means):
            log_weight, mean, log_width = layer(self._step(seen, 1 + i, first)[0]).chunk(3, dim=1)
            joint = torch.log_softmax(log_weight, dim=1) + log_branch[:, i : i + 1]
            found.append(torch.stack([joint, 4 * mean, log_width], dim=1))
        return torch.cat(found, dim=2).flatten(1)

    def _step(
        self, seen: Tensor, address: int, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        where = self.address[address].expand(len(seen), -1)
        state: tuple[Tensor, Tensor] = self.lstm(torch.cat([seen, where], dim=1), before)
        return state


@dataclass(frozen=True)
class Traces(Science):
    """Runs of the simulator, whose hidden draws are to be inferred."""

    hidden: int
    components: int

    metric = "KL divergence"
    classical = "linear Gaussian"

    def network(self) -> nn.Module:
        """Build the network."""
        return Network(self.hidden, self.components)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Run the simulator; labels are whole traces."""
        traces = torch.from_numpy(np.stack([trace(seed, index) for index in indices]))
        return Batch((traces[:, 2:],), traces)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give how unlikely the proposal finds the draws: - ln q(branch, mean), in nats."""
        parts = outputs.unflatten(1, (3, len(MEANS), -1))
        of_branch = parts[torch.arange(len(labels)), :, labels[:, 0].long()]
        log_weight, mean, log_width = of_branch.unbind(dim=1)
        off = (labels[:, 1:2] - mean) / log_width.exp()
        log_density = log_weight - log_width - 0.5 * (off**2 + math.log(2 * math.pi))
        return -log_density.logsumexp(dim=1).mean()

    def summary(self, batch: Batch) -> np.ndarray:
        """Give the mean of the observations, and a constant."""
        return np.column_stack([batch.inputs[0].mean(dim=1).numpy(), np.ones(len(batch.labels))])

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit a regression with the same scatter everywhere: exact if there were one branch."""
        weights = np.linalg.lstsq(summaries, labels[:, 1], rcond=None)[0]
        log_width = np.log((labels[:, 1] - summaries @ weights).std())
        return lambda unseen: np.column_stack(
            [np.zeros(len(unseen)), unseen @ weights, np.full(len(unseen), log_width)]
        )

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give a normal distribution like the prior."""
        return np.array([0.0, labels[:, 1].mean(), np.log(labels[:, 1].std())])

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give the mean KL divergence of the true posterior of the mean from the proposal."""
        true, found = posterior(labels[:, 2:]), mixture(predictions)
        tiny = np.finfo(float).tiny
        ratio = true * np.log(np.maximum(true, tiny) / np.maximum(found, tiny))
        return {self.metric: float(np.trapezoid(ratio, GRID, axis=1).mean())}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Come close to the posterior, closer than a regression that knows no branches."""
        divergence = network[self.metric]
        return {
            "half_of_trivial": Bound(divergence, "<=", 0.5 * trivial[self.metric]),
            "near_posterior": Bound(divergence, "<", LARGEST_DIVERGENCE),
            "beats_linear_gaussian": Bound(divergence, "<", classical[self.metric]),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show posteriors after two pairs of observations, and after all from low to high."""
        means = batch.inputs[0].mean(dim=1).numpy()
        observed = np.linspace(means.min(), means.max(), 40)[:, None].repeat(OBSERVATIONS, axis=1)

        def learned(pairs: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return mixture(model(torch.tensor(pairs, dtype=torch.float32)).numpy())

        with torch.no_grad():
            known = model(torch.tensor([KNOWN])).unflatten(1, (3, len(MEANS), -1))[0, :, 0]
        after_known = (known[0].softmax(dim=0) * known[1]).sum()
        shown: dict[str, Any] = {
            f"posterior of the mean after {first:g} and {second:g}": {
                "lines": {
                    name: [np.column_stack([GRID, density[0]])[IN_SIGHT][::2].tolist()]
                    for name, density in (("true", posterior(pair)), ("learned", learned(pair)))
                },
                "xlabel": "mean",
                "ylabel": "density",
                "caption": caption,
            }
            for (first, second), caption in OBSERVED.items()
            for pair in [np.array([[first, second]])]
        }
        return shown | {
            "posteriors of the mean": {
                "images": {
                    "true": posterior(observed)[:, ::THINNED].tolist(),
                    "learned": learned(observed)[:, ::THINNED].tolist(),
                },
                "xlabel": "mean",
                "ylabel": "mean of the observations",
            },
            "mean of the first branch after 8 and 9, truly 7.25": float(after_known),
        }


if __name__ == "__main__":
    main(Traces)
