"""CosmoGAN's players, with the layers of its code (https://github.com/MustafaMustafa/cosmoGAN).

A few thousand steps have to be enough at the small size, so a penalty on the critic's slope at the
truth (Mescheder et al. 2018, arXiv:1801.04406) stands in for its normalisation there: a critic that
may be as steep as it likes soon knows every fake, and drives all maps the same way, to one map.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import torch
from adversaries import Duel
from batchnorm import BatchNorm2d
from torch import Tensor, nn

LAYERS = 4
# A map's variance is 1, and its brightest pixels lie some fifteen sigma above the mean.
REACH = 16.0
LEAK = 0.2


def started(layer: nn.Conv2d | nn.ConvTranspose2d, seen: float) -> nn.Module:
    """Start a layer, of whose inputs each output sees some, so that signals keep their size.

    After He et al. 2015 (arXiv:1502.01852). The 0.02 of DCGANs is near that in the inner layers
    of the published network, but a quarter of it or less in a narrow one, where signals die away.
    """
    nn.init.normal_(layer.weight, std=sqrt(2 / seen))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def down(inputs: int, outputs: int, side: int) -> nn.Module:
    """Build a convolution of side x side that halves a map's side."""
    layer = nn.Conv2d(inputs, outputs, side, stride=2, padding=side // 2)
    return started(layer, inputs * side**2)


def up(inputs: int, outputs: int, side: int) -> nn.Module:
    """Build a transposed convolution of side x side that doubles a map's side."""
    options = {"stride": 2, "padding": side // 2, "output_padding": 1}
    layer = nn.ConvTranspose2d(inputs, outputs, side, **options)
    return started(layer, inputs * side**2 / 4)


class Generator(nn.Module):
    """A dense layer, and four transposed convolutions, each of which doubles a map's side."""

    def __init__(self, pixels: int, width: int, side: int, noise: int) -> None:
        """Build it; the last hidden layer has `width` channels."""
        super().__init__()
        self.side = pixels >> LAYERS
        widths = [width << i for i in reversed(range(LAYERS))]
        # A bias for each place would let normalisation take the noise for a trifle: equal maps.
        self.dense = nn.Linear(noise, widths[0] * self.side**2, bias=False)
        self.first = nn.Sequential(BatchNorm2d(widths[0]), nn.ReLU())
        ups = [
            nn.Sequential(up(a, b, side), BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(widths)
        ]
        self.ups = nn.Sequential(*ups, up(width, 1, side))

    def forward(self, noise: Tensor) -> Tensor:
        """Turn noise (maps, z) into maps (maps, pixels, pixels)."""
        seed = self.dense(noise).unflatten(1, (-1, self.side, self.side))
        maps: Tensor = self.ups(self.first(seed)).squeeze(1)
        # Slope 1 where most pixels are, or a small step of the last layer would be REACH times one.
        return REACH * torch.tanh(maps / REACH)


class Critic(nn.Module):
    """Four convolutions, of once, twice, four and six times `width` channels, and a dense layer."""

    def __init__(self, pixels: int, width: int, side: int, normal: bool) -> None:
        """Build it; `normal` normalises what the inner convolutions give."""
        super().__init__()
        widths = [1, width, 2 * width, 4 * width, 6 * width]
        layers: list[nn.Module] = []
        for into, out in pairwise(widths):
            norm = [BatchNorm2d(out)] if normal and into > 1 else []
            layers += [down(into, out, side), *norm, nn.LeakyReLU(LEAK)]
        dense = nn.Linear(widths[-1] * (pixels >> LAYERS) ** 2, 1)
        self.layers = nn.Sequential(*layers, nn.Flatten(), dense)

    def forward(self, maps: Tensor) -> Tensor:
        """Give a logit for each of (maps, pixels, pixels): positive for true."""
        logits: Tensor = self.layers(maps[:, None])
        return logits.squeeze(1)


class Players(Duel):
    """The game of Goodfellow et al. 2014 (arXiv:1406.2661), in which a few labels are false."""

    def __init__(
        self, generator: Generator, critic: Critic, flipped: float, penalty: float
    ) -> None:
        """Tell the critic the opposite of the truth for a part `flipped` of all maps."""
        super().__init__(generator, critic)
        self.flipped = flipped
        self.penalty = penalty

    def critic_loss(self, real: Tensor, fake: Tensor, dice: Tensor) -> Tensor:
        """Tell fakes from truth, by a function that is flat at the truth."""
        real = real.detach().requires_grad_(self.penalty > 0)
        opinion = self.critic(real)
        sign = torch.where(dice[:, 0] < self.flipped, -1.0, 1.0)
        softplus = nn.functional.softplus
        loss = (softplus(-sign * opinion) + softplus(sign * self.critic(fake))).mean()
        if not self.penalty:
            return loss
        (slope,) = torch.autograd.grad(opinion.sum(), real, create_graph=True)
        return loss + self.penalty / 2 * slope.square().sum(dim=(1, 2)).mean()

    def generator_loss(self, opinion: Tensor) -> Tensor:
        """Pass for true."""
        return nn.functional.softplus(-opinion).mean()
