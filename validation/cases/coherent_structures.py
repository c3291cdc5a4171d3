"""Local causal states find vortices in a flow, without being told what a vortex is.

After Rupe et al. 2019 (arXiv:1909.11822): what can have reached a point is its past light cone,
what it can reach its future one. Pasts that are followed by futures of the same distribution are
one state, and coherent structures are states unlike those around. DisCo clusters by k-means, and
merges by a test; here one loss does both. Each past belongs to the state whose typical past is
nearest, each state has a distribution of futures, and what is minimised is how surprising futures
are: clustering by Kullback and Leibler's divergence (Banerjee et al. 2005, "Clustering with Bregman
divergences"), in steps whose mean over ranks is DDP's. Truth is only used to score.

The baseline sees the present alone. Who knows beforehand that vortices last, and fits a threshold
to the mean of the same four frames, finds more: an IoU of 0.64 to 0.66 for seeds 1 to 3, where
states reach 0.61 to 0.62. What is shown is that they find out by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from climate import best_threshold
from coherent_structures_data import Grid, flow, rotation
from science import Batch, Bound, Predictor, Science, Scores
from torch import Tensor, nn
from trainer import main

IOU = "IoU of vortices"
# The largest part of the baseline's error, 1 - IoU, that a model may leave.
MOST_OF_THRESHOLD = 0.8
# Of the levels of vorticity that states begin as; how sharply these are told apart.
HIGHEST, SHARPNESS = 1.0, 4.0


def light_cones(frames: Tensor, nearest: int, speed: int) -> Tensor:
    """Give each point's light cone: of the frame at distance d all that is within speed * d cells.

    Args:
        frames: (samples, frames, rows, columns) of a periodic plane, from the nearest in time on.
        nearest: the first frame's distance in time.

    Returns:
        Shape (samples, cells of the cone, rows, columns).
    """
    reaches = [speed * (nearest + i) for i in range(frames.shape[1])]
    around = [
        nn.functional.pad(frames[:, i : i + 1], (reach,) * 4, mode="circular")
        for i, reach in enumerate(reaches)
    ]
    cells = [
        nn.functional.unfold(frame, 2 * reach + 1)
        for frame, reach in zip(around, reaches, strict=True)
    ]
    return torch.cat(cells, dim=1).unflatten(2, frames.shape[2:])


def size_of(frames: int, nearest: int, speed: int) -> int:
    """Give the number of cells in a light cone."""
    return sum((2 * speed * (nearest + i) + 1) ** 2 for i in range(frames))


class CausalStates(nn.Module):
    """States, each of which has a typical past, and a normal distribution of futures.

    Untrained, states are levels of the present vorticity, and neither look back nor around.
    """

    def __init__(self, past: int, future: int, speed: int, states: int) -> None:
        """Build it for light cones of `past` frames before the present, and of `future` after."""
        super().__init__()
        self.speed = speed
        levels = torch.linspace(-HIGHEST, HIGHEST, states)[:, None]
        self.pasts = nn.Parameter(levels * torch.eye(1, size_of(past + 1, 0, speed)))
        self.futures = nn.Parameter(levels.repeat(1, size_of(future, 1, speed)))
        self.log_widths = nn.Parameter(torch.zeros_like(self.futures))

    def forward(self, past: Tensor, future: Tensor) -> Tensor:
        """Compare each point's future with those of its past's state.

        Args:
            past: (samples, frames, rows, columns), now first.
            future: (samples, frames, rows, columns), the next first.

        Returns:
            In training, how surprising the future of each point is, in nats; else the state whose
            past is nearest. Both (samples, rows, columns).
        """
        closeness = self.closeness(light_cones(past, 0, self.speed))
        if not self.training:
            nearest: Tensor = closeness.argmax(dim=1)
            return nearest
        surprises = self.surprises(light_cones(future, 1, self.speed))
        return (torch.softmax(closeness, dim=1) * surprises).sum(dim=1)

    def closeness(self, cones: Tensor) -> Tensor:
        """Give - d^2, but for a constant, of past cones (samples, cells, ...) to each state's."""
        products = torch.einsum("nf...,sf->ns...", cones, self.pasts)
        return SHARPNESS * (products - self.pasts.square().sum(dim=1)[:, None, None] / 2)

    def surprises(self, futures: Tensor) -> Tensor:
        """Give - ln p, but for a constant, of futures (samples, cells, ...) in each state."""
        precisions = torch.exp(-2 * self.log_widths)
        constants = (self.futures.square() * precisions / 2 + self.log_widths).sum(dim=1)
        squares = torch.einsum("nf...,sf->ns...", futures.square(), precisions / 2)
        products = torch.einsum("nf...,sf->ns...", futures, self.futures * precisions)
        return squares - products + constants[:, None, None]


@dataclass(frozen=True)
class Flows(Science):
    """Flows of known vortices, of which a model sees a few frames."""

    rows: int
    columns: int
    past: int
    future: int
    speed: int
    states: int

    metric = IOU
    classical = "threshold"
    baseline_samples = 256

    def network(self) -> nn.Module:
        """Build the states."""
        return CausalStates(self.past, self.future, self.speed, self.states)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw pasts, from now back, and futures (samples, frames, rows, columns), and masks."""
        grid = Grid(self.rows, self.columns)
        drawn = [flow(seed, i, grid, self.past, self.future) for i in indices]
        frames, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        past, future = frames[:, : self.past + 1].flip(1), frames[:, self.past + 1 :]
        return Batch((past.contiguous(), future.contiguous()), masks)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the mean surprise; what the truth is, is not looked at."""
        del labels
        return outputs.mean()

    def summary(self, batch: Batch) -> np.ndarray:
        """Give what is cut on, of the present: vorticity, and Okubo and Weiss' rotation."""
        now = nn.functional.pad(batch.inputs[0][:, :1], (1,) * 4, mode="circular")
        vorticity = nn.functional.avg_pool2d(now, 3, 1)[:, 0].numpy()
        return np.stack([np.abs(vorticity), rotation(vorticity)], axis=1)

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit a threshold to each, and take the one that finds more."""
        columns = summaries.swapaxes(0, 1)
        limits = [best_threshold(column, labels > 0) for column in columns]
        found = [
            self.score(column > limit, labels)[IOU]
            for column, limit in zip(columns, limits, strict=True)
        ]
        best = int(np.argmax(found))
        return lambda unseen: unseen[:, best] > limits[best]

    def guess(self, labels: np.ndarray) -> np.ndarray:
        """Give the same state everywhere."""
        return np.zeros(labels.shape[1:])

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give the intersection over union of vortices with the states that mean them.

        States have no names: those are taken for vortices that find most of them together.
        """
        return {IOU: overlap(named(predictions.astype(int), labels), labels > 0)}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Find vortices, and better than any threshold on the present."""
        missing = 1 - network[IOU]
        return {
            "half_of_trivial": Bound(missing, "<=", 0.5 * (1 - trivial[IOU])),
            "beats_threshold": Bound(missing, "<=", MOST_OF_THRESHOLD * (1 - classical[IOU])),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show a flow, its states and the vortices among them, and what each state foresees."""
        assert isinstance(model, CausalStates)
        with torch.no_grad():
            states = model(*batch.inputs).numpy()
        labels = batch.labels.numpy()
        fullest = int(labels.sum(axis=(1, 2)).argmax())
        masks = {"truth": labels[fullest], "found": named(states, labels)[fullest].astype(int)}
        return {
            "a flow that was held out": {
                "images": {"vorticity": batch.inputs[0][fullest, 0].tolist()},
                "masks": {name: mask.tolist() for name, mask in masks.items()},
                "classes": ["elsewhere", "vortex"],
                "middle": 0.0,
            },
            "its local causal states": {"images": {"": states[fullest].tolist()}},
            "mean future of each state": {
                "images": {"": model.futures.detach().tolist()},
                "middle": 0.0,
                "xlabel": "cells of the future",
                "ylabel": "states",
            },
        }


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    """Give the intersection over union of two masks."""
    return float((found & true).sum() / (found | true).sum())


def named(states: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give the points in those states that overlap vortices best.

    They are the ones that lie in vortices more often than the others, down to some share.
    """
    total = np.bincount(states.ravel())
    inside = np.bincount(states.ravel(), weights=labels.ravel())
    order = np.argsort(-inside / np.maximum(total, 1))
    outside = np.cumsum((total - inside)[order])
    best = np.argmax(np.cumsum(inside[order]) / (inside.sum() + outside))
    vortex: np.ndarray = np.isin(states, order[: best + 1])
    return vortex


if __name__ == "__main__":
    main(Flows)
