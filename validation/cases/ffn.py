"""A flood-filling network segments neurites: it starts within one, and follows where it leads.

After Januszewski et al. 2018 (Nature Methods 15, 605; arXiv:1611.00421), trained by many ranks at
once as Dong et al. 2019 did (arXiv:1905.06236). A training sample is a volume: the network takes
some looks from each of a few seeds, and is to be right after each. A held-out volume is segmented
as a whole, one object after the other, and what one has taken no other gets. The baseline smooths,
cuts at a threshold and takes what is connected: it leaks through the gaps in membranes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from ffn_data import components, volume, volumes
from ffn_model import OBJECT, OTHER, FloodFilling, Plan
from science import Batch, Bound, Predictor, Reader, Science, Scores
from torch import Tensor, nn
from trainer import main

F1, OVERLAP = "object F1", "mean IoU of objects"
# The largest part of the baseline's error, 1 - F1, that a model may leave.
MOST_OF_COMPONENTS = 0.8
# Neurites in a picture.
SHOWN = 6
# Smoothing (a Gaussian's sigma, voxels) and thresholds among which the baseline's are chosen.
SIGMAS, THRESHOLDS = (0.5, 0.7, 1.0), range(136, 169, 8)


@dataclass(frozen=True)
class Neurites(Science):
    """Volumes of neurites, to be told from each other."""

    size: int
    scale: int
    features: int
    modules: int
    field: int
    step: int
    starts: int
    looks: int
    least: int

    metric = F1
    classical = "components"
    baseline_samples = 24

    def network(self) -> nn.Module:
        """Build the network."""
        plan = Plan(self.field, self.step, self.starts, self.looks, self.least)
        return FloodFilling(self.features, self.modules, plan)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw volumes without a file."""
        drawn = [volume(seed, i, self.size, self.scale) for i in indices]
        return as_batch(*(np.stack(part) for part in zip(*drawn, strict=True)))

    @contextmanager
    def data(self, seed: int, count: int, rank: int, world: int) -> Iterator[Reader]:
        """Write the volumes to HDF5, and stream them from there."""
        with volumes(seed, count, self.size, self.scale, rank, world) as files:
            yield lambda indices: as_batch(*files.read(indices))

    def loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Give the cross-entropy of voxels: are they of the object in which the seed is?

        Divided by the looks that there might have been, as ranks may need different numbers.
        """
        true = [
            (labels[(sample, *window)] == labels[(sample, *seed)]) & (labels[(sample, *seed)] > 0)
            for sample, seed, window in outputs.places
        ]
        wanted = torch.where(torch.stack(true), OBJECT, OTHER)
        entropy = nn.functional.binary_cross_entropy_with_logits(
            outputs.logits, wanted, reduction="sum"
        )
        return entropy / (len(labels) * self.starts * self.looks * self.field**3)

    def summary(self, batch: Batch) -> np.ndarray:
        """Give the grey values."""
        return batch.inputs[0].numpy()

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Choose how much is smoothed, and where is cut."""

        def connected(raw: np.ndarray, sigma: float, threshold: float) -> np.ndarray:
            masks = smoothed(raw, sigma) > threshold
            return np.stack([components(mask, self.least) for mask in masks])

        def found(choice: tuple[float, float]) -> float:
            return self.score(connected(summaries, *choice), labels)[F1]

        best = max(product(SIGMAS, THRESHOLDS), key=found)
        return lambda unseen: connected(unseen, *best)

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give one object that is everywhere."""
        return np.ones(labels.shape[1:], np.int64)

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give the F1 of objects, and how well each true one is covered by its best, in the mean.

        One is found if something overlaps it by more than half, which only one thing can.
        """
        tables = [overlaps(*pair) for pair in zip(predictions, labels, strict=True)]
        hits = sum(int((table > 0.5).sum()) for table in tables)
        objects = sum(sum(table.shape) for table in tables)
        best = np.concatenate([table.max(axis=0, initial=0.0) for table in tables])
        return {F1: 2 * hits / objects, OVERLAP: float(best.mean())}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Find most objects, and more than can be told apart by what is connected."""
        missed = 1 - network[F1]
        return {
            "half_of_trivial": Bound(missed, "<=", 0.5 * (1 - trivial[F1])),
            "beats_components": Bound(missed, "<=", MOST_OF_COMPONENTS * (1 - classical[F1])),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show a slice amid a volume: as it is seen, and whose each voxel is.

        Objects are numbered anew, so that one and what was found of it have the same colour.
        """
        with torch.no_grad():
            found = model(batch.inputs[0][:1])[0].numpy()
        true = batch.labels[0].numpy()
        middle = self.size // 2
        shown = [number for number in np.unique(true[middle]) if number][:SHOWN]
        # In a row of zeros for what is of no object found.
        best = np.pad(overlaps(found, true), ((1, 0), (0, 0))).argmax(axis=0)
        pairs = [(number, best[number - 1]) for number in shown]
        masks = {
            name: sum((cube[middle] == pair[side]) * place for place, pair in enumerate(pairs, 1))
            for side, (name, cube) in enumerate({"truth": true, "found": found}.items())
        }
        return {
            "a slice of a volume that was held out": {
                "images": {"neurites": batch.inputs[0][0, middle].tolist()},
                "masks": {name: mask.tolist() for name, mask in masks.items()},
                "classes": ["none of these", *(f"neurite {n}" for n in range(1, len(pairs) + 1))],
            }
        }


def overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give the intersection over union of objects found (down) with true ones (across).

    Args:
        found: numbers of objects from 1 on, 0 outside of any; like `true`.
    """
    shape = int(found.max()) + 1, int(true.max()) + 1
    pairs = np.bincount(
        found.ravel().astype(int) * shape[1] + true.ravel(), minlength=shape[0] * shape[1]
    )
    both = pairs.reshape(shape)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    iou: np.ndarray = both[1:, 1:] / union[1:, 1:]
    return iou


def smoothed(raw: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth volumes (samples, z, y, x) by a Gaussian."""
    line = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * sigma**2))
    cube = torch.einsum("i,j,k->ijk", line, line, line)
    padded = nn.functional.pad(torch.from_numpy(raw)[:, None].float(), (3,) * 6, mode="replicate")
    found: np.ndarray = nn.functional.conv3d(padded, (cube / cube.sum())[None, None])[:, 0].numpy()
    return found


def as_batch(raw: np.ndarray, stack: np.ndarray) -> Batch:
    """Turn arrays into what the network takes."""
    return Batch((torch.from_numpy(raw),), torch.from_numpy(stack))


if __name__ == "__main__":
    main(Neurites)
