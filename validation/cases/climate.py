"""What networks that find extreme weather share: data, loss, scores, the best thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from climate_data import CLASSES, SAMPLES_PER_FILE, Files, Grid, weather, write
from science import Batch, Bound, Predictor, Reader, Science, Scores
from shards import stored
from torch import Tensor, nn

# How much rarer classes weigh more: MLPerf HPC's DeepCAM.
WEIGHT_POWER = -0.125
CANDIDATES = 60
MEAN = "mean IoU"


def intersections(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give, for each class, its intersection over union; nan for one that is not in the truth.

    A class that is absent does not score: it can't be found, and to find none of it is no merit.
    """
    number = len(CLASSES)
    pairs = np.bincount(number * true.ravel().astype(int) + found.ravel(), minlength=number**2)
    confusion = pairs.reshape(number, number)
    both, present = np.diag(confusion), confusion.sum(axis=1)
    union = present + confusion.sum(axis=0) - both
    return np.where(present > 0, both / union.clip(min=1), np.nan)


def best_threshold(values: np.ndarray, mask: np.ndarray) -> float:
    """Give the value above which pixels overlap a mask best."""
    candidates = np.quantile(values, np.linspace(0.5, 0.999, CANDIDATES))

    def overlap(threshold: float) -> float:
        above = values > threshold
        return float((above & mask).sum() / (above | mask).sum())

    return float(max(candidates, key=overlap))


@dataclass(frozen=True)
class Weather(Science):
    """Fields of synthetic weather, and what each pixel belongs to."""

    rows: int
    columns: int
    channels: int
    frequencies: tuple[float, ...]

    metric = MEAN
    classical = "thresholds"
    baseline_samples = 256

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw fields (samples, channels, rows, columns) and classes without a file."""
        drawn = [weather(seed, i, Grid(self.rows, self.columns), self.channels) for i in indices]
        return as_batch(*(np.stack(part) for part in zip(*drawn, strict=True)))

    @contextmanager
    def data(self, seed: int, count: int, rank: int, world: int) -> Iterator[Reader]:
        """Write the fields to HDF5, and stream them from there."""
        grid = Grid(self.rows, self.columns)

        def write_some(file: Path, indices: range) -> None:
            write(file, [weather(seed, i, grid, self.channels) for i in indices])

        with stored(count, SAMPLES_PER_FILE, write_some, rank, world) as made:
            files = Files(made)
            yield lambda indices: as_batch(*files.read(indices))
            files.close()

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the cross-entropy of pixels, weighted by class.

        Divided by the pixels, not by their weights, which differ from rank to rank.
        """
        weights = torch.tensor(self.frequencies) ** WEIGHT_POWER
        entropy = nn.functional.cross_entropy(outputs, labels.long(), weights, reduction="none")
        return entropy.mean()

    def summary(self, batch: Batch) -> np.ndarray:
        """Give what is cut on: vorticity, and vapour beyond its row's mean."""
        vapour, east, north = batch.inputs[0][:, :3].unbind(dim=1)
        (vorticity,), (shear,) = torch.gradient(north, dim=2), torch.gradient(east, dim=1)
        smooth = nn.functional.avg_pool2d(vorticity - shear, 3, 1, 1, count_include_pad=False)
        beyond = vapour - vapour.mean(dim=2, keepdim=True)
        return torch.stack([smooth, beyond], dim=1).numpy()

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit a threshold for each class but the background."""
        limits = [best_threshold(summaries[:, i], labels == 1 + i) for i in range(2)]
        limit = np.array(limits)[:, None, None]
        return lambda unseen: np.insert(unseen / limit - 1, 0, 0.0, axis=1)

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give the frequencies, of which the background's is the largest."""
        counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
        return (counts / counts.sum())[:, None, None]

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give each class' intersection over union, and the mean over those present.

        Args:
            predictions: (samples, classes, rows, columns), of which the largest counts.
            labels: (samples, rows, columns).
        """
        if not np.isfinite(predictions).all():
            return dict.fromkeys((MEAN, *CLASSES), np.nan)
        found = np.broadcast_to(predictions.argmax(axis=1), labels.shape)
        each = intersections(found, labels)
        return {MEAN: float(np.nanmean(each))} | dict(zip(CLASSES, each.tolist(), strict=True))

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Halve what is missing to a perfect mean, and beat thresholds in every class."""
        missing = 1 - network[MEAN]
        better = {
            f"{name}_beat_thresholds": Bound(network[name], ">", classical[name])
            for name in CLASSES
        }
        return {"half_of_trivial": Bound(missing, "<=", 0.5 * (1 - trivial[MEAN]))} | better

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show the sample with most to find: vapour, and both masks."""
        fullest = int((batch.labels > 0).sum(dim=(1, 2)).argmax())
        fields = batch.inputs[0][fullest : fullest + 1]
        with torch.no_grad():
            found = model(fields)[0].argmax(dim=0)
        return {
            "weather that was held out": {
                "images": {"water vapour": fields[0, 0].tolist()},
                "masks": {"truth": batch.labels[fullest].tolist(), "found": found.tolist()},
                "classes": list(CLASSES),
            }
        }


def as_batch(fields: np.ndarray, labels: np.ndarray) -> Batch:
    """Turn arrays into what the network takes."""
    return Batch((torch.from_numpy(fields),), torch.from_numpy(labels))
