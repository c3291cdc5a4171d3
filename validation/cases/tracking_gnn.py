"""An interaction network with attention finds the segments of charged particles' tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from classifier import Classifier
from science import Batch
from torch import Tensor, nn
from tracking_gnn_data import event, geometry
from trainer import main

# Metres and radians to numbers of order one.
HIT_SCALE = (1.0, np.pi, 1.0)
BINS = 24
CUT = 0.5


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build two layers."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class Network(nn.Module):
    """Segments weigh what their hits tell each other, again and again; at last they are scored."""

    def __init__(self, hidden: int, iterations: int) -> None:
        """Build the networks of hits and segments, which all iterations share."""
        super().__init__()
        self.iterations = iterations
        self.register_buffer("scale", torch.tensor(HIT_SCALE))
        self.of_hit = nn.Sequential(nn.Linear(3, hidden), nn.Tanh())
        hit = hidden + 3
        self.attention = perceptron(2 * hit + 4, hidden, 1)
        self.update = nn.Sequential(perceptron(3 * hit, hidden, hidden), nn.Tanh())

    def forward(self, hits: Tensor, senders: Tensor, receivers: Tensor) -> Tensor:
        """Score segments.

        Args:
            hits: (hits, 3) of all events together.
            senders: (segments) rows of the inner hits.
            receivers: (segments) rows of the outer hits.

        Returns:
            Logits (segments).
        """
        known = hits / self.scale
        apart = steps(hits, senders, receivers)
        state = torch.cat([self.of_hit(known), known], dim=1)
        for _ in range(self.iterations):
            weight = torch.sigmoid(self._score(state, senders, receivers, apart))
            inwards = torch.zeros_like(state).index_add(0, senders, weight * state[receivers])
            outwards = torch.zeros_like(state).index_add(0, receivers, weight * state[senders])
            fresh = self.update(torch.cat([inwards, outwards, state], dim=1))
            state = torch.cat([fresh + state[:, :-3], known], dim=1)
        return self._score(state, senders, receivers, apart).squeeze(1)

    def _score(self, state: Tensor, senders: Tensor, receivers: Tensor, apart: Tensor) -> Tensor:
        score: Tensor = self.attention(torch.cat([state[senders], state[receivers], apart], dim=1))
        return score


def steps(hits: Tensor, senders: Tensor, receivers: Tensor) -> Tensor:
    """Give each segment's bend, slope and origin on the beam, and its length: (segments, 4)."""
    r, _, z = hits[senders].unbind(dim=1)
    dr, dphi, dz = (hits[receivers] - hits[senders]).unbind(dim=1)
    dphi = torch.remainder(dphi + np.pi, 2 * np.pi) - np.pi
    # Wrong segments are steep and point far away: asinh keeps their numbers in the tanh's reach.
    slope = dz / dr
    return torch.stack([2 * dphi / dr, slope, 10 * (z - r * slope), 10 * dr], dim=1).asinh()


@dataclass(frozen=True)
class Tracks(Classifier):
    """Events of helices and noise."""

    particles: int
    noise: int
    neighbours: int
    layers: int
    sections: int
    hidden: int
    iterations: int

    most_of_cut = 0.5

    def network(self) -> nn.Module:
        """Build the network."""
        return Network(self.hidden, self.iterations)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw events, and join their graphs to one."""
        sizes = (self.particles, self.noise, self.neighbours, self.layers, self.sections)
        events = [event(seed, index, *sizes) for index in indices]
        first = np.repeat(np.arange(len(events)), len(events[0].true)) * len(events[0].hits)
        hits, senders, receivers, true = (
            np.concatenate(part) for part in zip(*events, strict=True)
        )
        graph = (hits, senders + first, receivers + first)
        return Batch(tuple(map(torch.from_numpy, graph)), torch.from_numpy(true))

    def summary(self, batch: Batch) -> np.ndarray:
        """Give each segment's bend, and where it meets the beam."""
        hits, senders, receivers = (tensor.numpy() for tensor in batch.inputs)
        return geometry(hits, senders, receivers)

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show one event's segments, and the scores over the plane in which the cut is made."""
        with torch.no_grad():
            scores = torch.sigmoid(model(*batch.inputs)).numpy()
        hits, senders, receivers = (tensor.numpy() for tensor in batch.inputs)
        true = batch.labels.numpy()
        of_first = senders < (self.particles + self.noise) * self.layers
        places = hits[:, :1] * np.column_stack([np.cos(hits[:, 1]), np.sin(hits[:, 1])])
        kinds = {
            "found": (scores > CUT) & (true == 1),
            "missed": (scores <= CUT) & (true == 1),
            "not there": (scores > CUT) & (true == 0),
        }
        segments = np.stack([places[senders], places[receivers]], axis=1)
        bend, origin = self.summary(batch).T
        edges = [np.quantile(values, np.linspace(0, 0.8, BINS + 1)) for values in (bend, origin)]
        number = np.histogram2d(bend, origin, edges)[0].clip(min=1)
        return {
            "segments of tracks across the beam": {
                "lines": {name: segments[of_first & kind].tolist() for name, kind in kinds.items()},
                "equal": True,
                "xlabel": "x in metres",
                "ylabel": "y in metres",
                "caption": f"One event that was held out; found is a score above {CUT}.",
            },
            "scores in the plane of the hand cut": {
                "images": {
                    name: (np.histogram2d(bend, origin, edges, weights=of)[0] / number).tolist()
                    for name, of in (("truth", true), ("score", scores))
                },
                "xlabel": "distance from the beam's middle",
                "ylabel": "bend",
            },
        }


if __name__ == "__main__":
    main(Tracks)
