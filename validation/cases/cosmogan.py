"""CosmoGAN draws maps of weak lensing that have the right power spectrum and pixel intensities.

The DCGAN of Mustafa et al. 2017 (arXiv:1706.02390), of four layers for each player.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from adversaries import Generation
from cosmogan_data import convergence, distance, gaussian, modes, spacing, spectra
from cosmogan_model import Critic, Generator, Players
from science import Batch, Bound, Predictor, Scores
from torch import nn
from trainer import main

INTENSITIES, SPACING = "distance of intensities", "spacing of maps"
# How much the power may be off, in the mean over scales, and how near to each other maps may lie,
# relative to true ones. Two sets of true maps differ by 0.02, and lie as near within 1 %.
POWER_OFF, SPACED = 0.3, 0.5


@dataclass(frozen=True)
class Lensing(Generation):
    """Maps of convergence, drawn from noise.

    Args:
        side: of the convolutions' kernels.
        penalty: on the critic's slope; 0 normalises its layers instead.
    """

    pixels: int
    noise: int
    width: int
    critic_width: int
    side: int
    flipped: float
    penalty: float

    metric = "relative error of P(k)"
    per_file = 1024
    classical = "Gaussian field"

    def network(self) -> nn.Module:
        """Build both players."""
        generator = Generator(self.pixels, self.width, self.side, self.noise)
        critic = Critic(self.pixels, self.critic_width, self.side, normal=not self.penalty)
        return Players(generator, critic, self.flipped, self.penalty)

    def drawn(self, seed: int, index: int) -> np.ndarray:
        """Draw a map."""
        return convergence(seed, index, self.pixels)

    def batch(self, seed: int, indices: Sequence[int], drawn: np.ndarray) -> Batch:
        """Show the critic the maps, which are the truth as well."""
        truth = torch.from_numpy(drawn)
        return Batch((truth, *self.chances(seed, indices)), truth)

    def summary(self, batch: Batch) -> np.ndarray:
        """Give each map's spectrum by modes."""
        return modes(batch.labels.numpy()).astype(np.float32)

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Draw Gaussian fields of the mean spectrum."""
        del labels
        roots = np.sqrt(summaries.mean(axis=0, dtype=float))
        rng = np.random.default_rng(len(summaries))
        return lambda unseen: np.stack([gaussian(roots, rng) for _ in unseen])

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Compare two sets of maps.

        The spectrum is that of what differs between maps. Their mean is the same everywhere, so the
        truth loses nothing; but one map drawn again and again has no power at all.
        """
        made, true = (
            spectra(maps - maps.mean(axis=0)).mean(axis=0) for maps in (predictions, labels)
        )
        return {
            self.metric: float(np.abs(made / true - 1).mean()),
            INTENSITIES: distance(predictions, labels),
            SPACING: spacing(predictions) / spacing(labels),
        }

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Have the power at every scale, intensities unlike a Gaussian field's, and many maps."""
        error = network[self.metric]
        return {
            "half_of_trivial": Bound(error, "<=", 0.5 * trivial[self.metric]),
            "power_spectrum": Bound(error, "<", POWER_OFF),
            "beats_gaussian_field": Bound(network[INTENSITIES], "<", classical[INTENSITIES]),
            "maps_differ": Bound(network[SPACING], ">", SPACED),
        }

    def pictures(self, model: nn.Module, batch: Batch) -> dict[str, Any]:
        """Show a map of each kind."""
        with torch.no_grad():
            made = model(*batch.inputs).numpy()
        maps = {"true": batch.labels[0].tolist(), "generated": made[0].tolist()}
        return {"maps of convergence": {"images": maps, "middle": 0.0}}

    def plots(self, predictions: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Show spectrum and intensities of all maps of each kind."""
        made, fields, _ = predictions.values()
        kinds = {"true": labels, "generated": made, self.classical: fields}
        edges = np.linspace(-3, 6, 37)
        centres = (edges[:-1] + edges[1:]) / 2
        powers = {name: spectra(maps).mean(axis=0) for name, maps in kinds.items()}
        shares = {name: np.histogram(of, edges, density=True)[0] for name, of in kinds.items()}
        return {
            "power spectrum": lines("k", np.arange(1, self.pixels // 2), "P(k)", powers),
            "intensities": lines("sigma", centres, "density", shares),
        }


def lines(xlabel: str, x: np.ndarray, ylabel: str, y: dict[str, np.ndarray]) -> dict[str, Any]:
    """Describe curves over a common x as a picture."""
    drawn = {name: [np.column_stack([x, values]).tolist()] for name, values in y.items()}
    return {"lines": drawn, "xlabel": xlabel, "ylabel": ylabel}


if __name__ == "__main__":
    main(Lensing)
