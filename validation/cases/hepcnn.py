"""A convolutional network finds decays of heavy particles in calorimeter images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from classifier import Classifier
from hepcnn_data import event, events, jets_and_mass
from science import Batch, Reader
from torch import Tensor, nn
from trainer import main

# Pixels from a GeV to a TeV become numbers from 0 to 7.
ENERGY_UNIT = 0.001


class Network(nn.Module):
    """Convolutions, each with ReLU and pooling, and a head."""

    def __init__(self, widths: Sequence[int], dense: int, pixels: int) -> None:
        """Build it; without a dense layer the head sees the mean over the last pixels."""
        super().__init__()
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise([3, *widths])
        ]
        flat = widths[-1] * (pixels >> len(widths)) ** 2
        self.convolutions = nn.Sequential(*blocks)
        self.head = (
            nn.Sequential(nn.Flatten(), nn.Linear(flat, dense), nn.ReLU(), nn.Linear(dense, 1))
            if dense
            else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 1))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (events, 3, pixels, pixels) to logits (events)."""
        seen = torch.log1p(images[:, :2] / ENERGY_UNIT)
        logits: Tensor = self.head(self.convolutions(torch.cat([seen, images[:, 2:]], 1)))
        return logits.squeeze(1)


@dataclass(frozen=True)
class Jets(Classifier):
    """Images of gluinos and of QCD."""

    pixels: int
    widths: tuple[int, ...]
    dense: int

    most_of_cut = 0.9

    def network(self) -> nn.Module:
        """Build the network."""
        return Network(self.widths, self.dense, self.pixels)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw events without a file."""
        images, labels = zip(*(event(seed, i, self.pixels) for i in indices), strict=True)
        return as_batch(np.stack(images), np.array(labels, np.float32))

    @contextmanager
    def data(self, seed: int, count: int, rank: int, world: int) -> Iterator[Reader]:
        """Write the events to HDF5, and stream them from there."""
        with events(seed, count, self.pixels, rank, world) as files:
            yield lambda indices: as_batch(*files.read(indices))

    def summary(self, batch: Batch) -> np.ndarray:
        """Give the number of jets and the sum of their masses."""
        return jets_and_mass(batch.inputs[0])

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show an event of each kind, and how the pixels of that with gluinos move the logit."""
        first = [int((batch.labels == kind).int().argmax()) for kind in (1, 0)]
        images = batch.inputs[0][first].clone().requires_grad_()
        logits = model(images)
        logits[0].backward()
        assert images.grad is not None
        moves = (images.grad * images).detach()[0].sum(dim=0)
        energy = torch.log1p(images.detach()[:, :2].sum(dim=1) / ENERGY_UNIT)
        scores = torch.sigmoid(logits).tolist()
        ways = {"xlabel": "azimuth", "ylabel": "pseudorapidity"}
        return {
            "two events": {
                "images": {
                    f"{name}, score {score:.2f}": event.tolist()
                    for name, score, event in zip(("gluinos", "QCD"), scores, energy, strict=True)
                },
                "caption": "ln of the energy; the score is 1 for gluinos, 0 for QCD.",
                **ways,
            },
            "what pixels of the first say for gluinos": {
                "images": {"": moves.tolist()},
                "middle": 0.0,
                **ways,
            },
        }


def as_batch(images: np.ndarray, labels: np.ndarray) -> Batch:
    """Turn images with channels last, as on disk, into what the network takes."""
    return Batch((torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),), torch.from_numpy(labels))


if __name__ == "__main__":
    main(Jets)
