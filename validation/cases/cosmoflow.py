"""CosmoFlow recovers the parameters of synthetic density cubes, on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cosmoflow_data import (
    PARAMETERS,
    SAMPLES_PER_FILE,
    fit_linear,
    parsed,
    sample,
    samples,
    spectrum_features,
    write,
)
from cosmoflow_model import CosmoFlow, Shape
from science import Batch, Bound, MlPerf, Predictor, Reader, Science, Scores
from shards import stored
from tfrecord import Records
from torch import Tensor, nn
from trainer import main

# A model that learnt something halves the error of always guessing the mean.
WORST_OF_TRIVIAL = 0.5
CELLS_SHOWN = 32
MOST_SHOWN = 128
TILT = PARAMETERS.index("tilt")


@dataclass(frozen=True)
class Cosmology(Science, Shape):
    """Density cubes, whose parameters CosmoFlow has to find better than their spectra tell."""

    metric = "mean absolute error"
    classical = "power spectrum"
    mlperf = MlPerf("cosmoflow", "eval_error")

    def network(self) -> nn.Module:
        """Build CosmoFlow."""
        return CosmoFlow(self)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw cubes (samples, channels, cells^3) and labels (samples, 3) without a file."""
        return as_batch(*samples(seed, indices, self.cells, self.channels))

    @contextmanager
    def data(self, seed: int, count: int, rank: int, world: int) -> Iterator[Reader]:
        """Write the cubes to TFRecord files, and stream them from there."""

        def write_some(file: Path, indices: range) -> None:
            write(file, (sample(seed, i, self.cells, self.channels) for i in indices))

        with stored(count, SAMPLES_PER_FILE, write_some, rank, world) as made:
            records = Records(made)
            yield lambda indices: as_batch(*parsed(records.read(indices), self.cells))
            records.close()

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the mean squared error."""
        return nn.functional.mse_loss(outputs, labels)

    def summary(self, batch: Batch) -> np.ndarray:
        """Give the logarithm of the power spectrum."""
        return spectrum_features(batch.inputs[0].numpy())

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit a linear regression."""
        weights = fit_linear(summaries, labels)
        return lambda unseen: unseen @ weights

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give the mean absolute error; labels span [-1, 1]."""
        return {self.metric: float(np.abs(predictions - labels).mean())}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Halve the trivial error, and beat the power spectrum."""
        error = network[self.metric]
        return {
            "half_of_trivial": Bound(error, "<=", WORST_OF_TRIVIAL * trivial[self.metric]),
            "beats_power_spectrum": Bound(error, "<", classical[self.metric]),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show slices of the cubes with the lowest, the middle and the highest tilt."""
        cubes, tilts = batch.inputs[0], batch.labels[:, TILT]
        with torch.no_grad():
            found = model(cubes)[:, TILT]
        order = tilts.argsort().tolist()
        return {
            "slices of the density": {
                "images": {
                    f"{tilts[i]:+.2f} as {found[i]:+.2f}": cubes[
                        i, 0, 0, :CELLS_SHOWN, :CELLS_SHOWN
                    ].tolist()
                    for i in (order[0], order[len(order) // 2], order[-1])
                },
                "middle": 0.0,
                "caption": "Cubes from the lowest to the highest tilt, in [-1, 1]: true as found.",
            }
        }

    def plots(self, predictions: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Show predicted against true parameters."""
        found = next(iter(predictions.values()))
        return {
            "predicted against true parameters": {
                "lines": {"exact": [[[-1, -1], [1, 1]]]},
                "points": {
                    name: np.column_stack([labels[:, i], found[:, i]])[:MOST_SHOWN].tolist()
                    for i, name in enumerate(PARAMETERS)
                },
                "equal": True,
                "xlabel": "true",
                "ylabel": "predicted",
            }
        }


def as_batch(cubes: np.ndarray, labels: np.ndarray) -> Batch:
    """Turn arrays into what the network takes."""
    return Batch((torch.from_numpy(cubes),), torch.from_numpy(labels))


if __name__ == "__main__":
    main(Cosmology)
