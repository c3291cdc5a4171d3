"""CosmoFlow recovers the parameters of synthetic density cubes, on any number of ranks."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from cosmoflow_data import fit_linear, samples, spectrum_features
from cosmoflow_model import CosmoFlow, Shape
from emit import Emitter
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from world import gloo

# A model that learnt something halves the error of always guessing the mean.
WORST_OF_TRIVIAL = 0.5


@dataclass(frozen=True)
class Config:
    """One training: every sample is seen once."""

    shape: Shape
    train_samples: int
    test_samples: int
    batch: int
    learning_rate: float
    warm_up: float = 0.1
    momentum: float = 0.9
    evaluations: int = 6

    @property
    def steps(self) -> int:
        """Optimizer steps; a batch is the whole of all ranks' samples in a step."""
        return self.train_samples // self.batch

    def rate(self, step: int) -> float:
        """Scale the learning rate: linear warm-up, then a cosine to zero."""
        warm = self.warm_up * self.steps
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))


SCALES = {
    # Two cores train this in some ten seconds a seed; dropout would cost it more than it gives.
    "small": Config(
        shape=Shape(cells=16, channels=1, features=8, dropout=0.0),
        train_samples=8192,
        test_samples=384,
        batch=16,
        learning_rate=0.02,
    ),
    # The cube, network, data set and batch of MLPerf HPC (https://github.com/mlcommons/hpc).
    "full": Config(
        shape=Shape(cells=128, channels=4, features=16, dropout=0.5),
        train_samples=524288,
        test_samples=65536,
        batch=64,
        learning_rate=0.001,
    ),
}


class Errors(NamedTuple):
    """Mean absolute errors on held-out cubes after some samples; labels span [-1, 1]."""

    samples: int
    cosmoflow: float
    trivial: float
    spectrum: float


class Baselines:
    """Rank 0's record of what it trained on, from which it fits the predictors without a network.

    A linear fit of some ten coefficients is as good on a rank's share as on all samples.
    """

    def __init__(self, test_cubes: np.ndarray, test_labels: np.ndarray) -> None:
        """Take the held-out set."""
        self._test_features = spectrum_features(test_cubes)
        self._test_labels = test_labels
        self._features: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def see(self, cubes: np.ndarray, labels: np.ndarray) -> None:
        """Remember a batch."""
        self._features.append(spectrum_features(cubes))
        self._labels.append(labels)

    def errors(self) -> tuple[float, float]:
        """Fit on everything seen; the errors of the mean, and of the power spectrum."""
        labels = np.concatenate(self._labels)
        weights = fit_linear(np.concatenate(self._features), labels)
        trivial = np.abs(self._test_labels - labels.mean(axis=0)).mean()
        spectrum = np.abs(self._test_labels - self._test_features @ weights).mean()
        return float(trivial), float(spectrum)


def network_error(model: nn.Module, cubes: np.ndarray, labels: np.ndarray) -> float:
    """Give the model's mean absolute error."""
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(part) for part in torch.from_numpy(cubes).split(64)])
    model.train()
    return float((predicted - torch.from_numpy(labels)).abs().mean())


def train(config: Config, seed: int, rank: int, world: int) -> list[Errors]:
    """Train on this rank's share of every batch; rank 0 gives the learning curve, others nothing.

    Raises:
        ValueError: if the ranks cannot share a batch evenly (the mean over ranks would then not be
            the mean over samples).
    """
    if config.batch % world:
        raise ValueError(f"a batch of {config.batch} does not divide by {world} ranks")
    shape = config.shape
    torch.manual_seed(seed)
    model = CosmoFlow(shape)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.learning_rate, momentum=config.momentum
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.rate)

    curve: list[Errors] = []
    if rank == 0:
        held_out = range(config.train_samples, config.train_samples + config.test_samples)
        test = samples(seed, held_out, shape.cells, shape.channels)
        baselines = Baselines(*test)
    for step in range(config.steps):
        share = range(step * config.batch + rank, (step + 1) * config.batch, world)
        cubes, labels = samples(seed, share, shape.cells, shape.channels)
        optimizer.zero_grad()
        nn.functional.mse_loss(ddp(torch.from_numpy(cubes)), torch.from_numpy(labels)).backward()
        optimizer.step()
        schedule.step()
        if rank == 0:
            baselines.see(cubes, labels)
            if (step + 1) % (config.steps // config.evaluations) == 0:
                seen = (step + 1) * config.batch
                curve.append(Errors(seen, network_error(model, *test), *baselines.errors()))
    return curve


def emit_verdict(out: Emitter, curves: dict[int, list[Errors]]) -> None:
    """Hold the last errors of every seed against both baselines; draw the mean curve."""
    last = {seed: curve[-1] for seed, curve in curves.items()}
    out.check(
        "half_of_trivial",
        all(e.cosmoflow <= WORST_OF_TRIVIAL * e.trivial for e in last.values()),
        "; ".join(f"seed {s}: MAE {e.cosmoflow:.3f} of {e.trivial:.3f}" for s, e in last.items()),
    )
    out.check(
        "beats_power_spectrum",
        all(e.cosmoflow < e.spectrum for e in last.values()),
        "; ".join(f"seed {s}: MAE {e.cosmoflow:.3f} < {e.spectrum:.3f}" for s, e in last.items()),
    )
    mean = np.mean(list(curves.values()), axis=0).T
    out.series(
        "learning curve",
        xlabel="samples",
        ylabel="mean absolute error",
        x=mean[0],
        y={"cosmoflow": mean[1], "trivial": mean[2], "power spectrum": mean[3]},
    )


def run(out: Emitter, config: Config, seeds: list[int]) -> None:
    """Train once per seed, then judge."""
    with gloo(out):
        curves = {seed: train(config, seed, out.rank, out.world) for seed in seeds}
    if out.rank == 0:
        emit_verdict(out, curves)
        cubes, labels = samples(seeds[0], range(1), config.shape.cells)
        out.info("density slice", cubes[0, 0, 0, :32, :32].tolist())
        out.info("density slice labels", labels[0].tolist())


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    with Emitter() as out:
        run(out, SCALES[options.scale], options.seeds)


if __name__ == "__main__":
    main()
