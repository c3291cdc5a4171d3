"""A graph network with a learned Gaussian kernel tells neutrinos from air showers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from classifier import Classifier, true_positives
from icecube_gnn_data import array, as_rows, event, width_and_peak
from science import Batch, Bound, Scores
from torch import Tensor, nn
from trainer import main

# Metres and nanoseconds to numbers of order one.
SCALE = (100.0, 100.0, 100.0, 500.0, 2.0, 1.0)
FIRST_WIDTH = 50.0
FALSE_POSITIVES = 0.02
TRUE_POSITIVES = "true positives at 2 % false"


class Convolution(nn.Module):
    """Mix each sensor with its neighbours; half of the outputs are rectified, half are linear."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Build the weights."""
        super().__init__()
        self.mix = nn.Linear(2 * inputs, outputs)
        # torch's default lets the signal fade from layer to layer, and training stalls.
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="linear")

    def forward(self, states: Tensor, adjacency: Tensor) -> Tensor:
        """Map states (events, hits, inputs) to (events, hits, outputs)."""
        mixed = self.mix(torch.cat([adjacency @ states, states], dim=2))
        rectified, linear = mixed.chunk(2, dim=2)
        return torch.cat([torch.relu(rectified), linear], dim=2)


class Network(nn.Module):
    """Graph convolutions over an adjacency of which the width is learned, then means over hits."""

    def __init__(self, hidden: int, layers: int) -> None:
        """Build it."""
        super().__init__()
        self.register_buffer("scale", torch.tensor(SCALE))
        self.log_width = nn.Parameter(torch.tensor(FIRST_WIDTH).log())
        sizes = [6] + [hidden] * layers
        self.convolutions = nn.ModuleList(map(Convolution, sizes[:-1], sizes[1:]))
        self.head = nn.Linear(2 * hidden, 1)

    def adjacency(self, hits: Tensor) -> Tensor:
        """Give exp(-d^2 / 2 width^2) between hits, normalised over each hit's neighbours."""
        apart = torch.cdist(hits[..., :3], hits[..., :3]).square()
        kernel = -apart / (2 * torch.exp(2 * self.log_width))
        empty = hits[..., 5] == 0
        return torch.softmax(kernel.masked_fill(empty[:, None], -torch.inf), dim=2)

    def forward(self, hits: Tensor) -> Tensor:
        """Map hits (events, hits, 6) to logits (events): means over hits, plain and by light."""
        adjacency, states = self.adjacency(hits), hits / self.scale
        for convolution in self.convolutions:
            states = convolution(states, adjacency)
        light = torch.expm1(hits[..., 5:])
        weights = torch.cat([(light > 0).float(), light], dim=2)
        weights = weights / weights.sum(dim=1, keepdim=True)
        logits: Tensor = self.head((weights.transpose(1, 2) @ states).flatten(1))
        return logits.squeeze(1)


@dataclass(frozen=True)
class Neutrinos(Classifier):
    """Muons of neutrinos, and bundles of air showers."""

    rings: int
    sensors: int
    spacing: float
    hits: int
    hidden: int
    layers: int

    most_of_cut = 0.8

    def network(self) -> nn.Module:
        """Build the network."""
        return Network(self.hidden, self.layers)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw events."""
        places = placed(self.rings, self.sensors, self.spacing)
        events, labels = zip(*(event(seed, i, places) for i in indices), strict=True)
        rows = np.stack([as_rows(hits, self.hits) for hits in events])
        return Batch((torch.from_numpy(rows),), torch.tensor(labels))

    def summary(self, batch: Batch) -> np.ndarray:
        """Give the light's width, and the brightest sensor's share."""
        return width_and_peak(batch.inputs[0])

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Add the signal that is kept when almost no background is."""
        kept = true_positives(predictions, labels, FALSE_POSITIVES)
        return super().score(predictions, labels) | {TRUE_POSITIVES: kept}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Beat the cut there as well."""
        kept, limit = network[TRUE_POSITIVES], classical[TRUE_POSITIVES]
        return super().criterion(network, trivial, classical) | {
            "keeps_more_than_cut": Bound(kept, ">", limit)
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show an event of each kind, and the learned kernel between hits of the first."""
        assert isinstance(model, Network)
        first = [int((batch.labels == kind).int().argmax()) for kind in (1, 0)]
        hits = batch.inputs[0][first]
        ordered = hits[:1, hits[0, :, 5] > 0]
        ordered = ordered[:, ordered[0, :, 3].argsort()]
        with torch.no_grad():
            kernel = model.adjacency(ordered)[0]
            scores = torch.sigmoid(model(hits)).tolist()
        shown: dict[str, Any] = {
            f"light of {name}": {
                "points": {"sensor, by its light": side_view(rows)},
                "equal": True,
                "xlabel": "x in metres",
                "ylabel": "height in metres",
                "caption": f"Score {score:.2f}; it is 1 for a neutrino, 0 for an air shower.",
            }
            for name, score, rows in zip(("a neutrino", "an air shower"), scores, hits, strict=True)
        }
        return shown | {
            "learned kernel between hits in the order of time": {
                "images": {"": kernel.tolist()},
                "xlabel": "hits",
                "ylabel": "hits",
            },
            "learned width of the kernel in metres": float(model.log_width.detach().exp()),
        }


def side_view(hits: Tensor) -> list[list[float]]:
    """Give x, z and light of the sensors that were hit, of hits (number, 6)."""
    seen = hits[hits[:, 5] > 0]
    view: list[list[float]] = torch.stack([seen[:, 0], seen[:, 2], seen[:, 5].expm1()], 1).tolist()
    return view


@lru_cache
def placed(rings: int, sensors: int, spacing: float) -> np.ndarray:
    """Give the array's sensors."""
    return array(rings, sensors, spacing)


if __name__ == "__main__":
    main(Neutrinos)
