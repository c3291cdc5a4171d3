"""Tiramisu finds vortices and atmospheric rivers in synthetic weather.

The network of dense blocks of Jegou et al. 2017 (arXiv:1611.09326), as Kurth et al. 2018
(arXiv:1810.01993) used it for climate; trained by LARC, as theirs were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from batchnorm import BatchNorm2d
from climate import Weather
from climate_data import CLASSES
from torch import Tensor, nn
from trainer import main


class Dense(nn.Module):
    """A block whose every layer sees what came in and what all layers before it found."""

    def __init__(self, inputs: int, growth: int, layers: int, side: int) -> None:
        """Build it; each layer finds `growth` channels by a convolution of `side` x `side`."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                BatchNorm2d(inputs + i * growth),
                nn.ReLU(),
                nn.Conv2d(inputs + i * growth, growth, side, padding="same"),
            )
            for i in range(layers)
        )
        self.outputs = layers * growth

    def forward(self, images: Tensor) -> Tensor:
        """Give what the layers found: (images, outputs, ...)."""
        seen = [images]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, dim=1)))
        return torch.cat(seen[1:], dim=1)


def transition(inputs: int) -> nn.Sequential:
    """Build what halves each side between two blocks."""
    return nn.Sequential(
        BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, inputs, 1), nn.MaxPool2d(2)
    )


class Tiramisu(nn.Module):
    """Dense blocks down to small images and up again, with a short cut at each size."""

    def __init__(
        self, channels: int, first: int, growth: int, blocks: Sequence[int], side: int
    ) -> None:
        """Build it; the last of `blocks` is the one at the bottom."""
        super().__init__()
        *down, bottom = blocks
        self.first = nn.Conv2d(channels, first, side, padding="same")
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        widths = [first]
        for layers in down:
            self.down.append(Dense(widths[-1], growth, layers, side))
            widths.append(widths[-1] + layers * growth)
            self.shrink.append(transition(widths[-1]))
        self.bottom = Dense(widths[-1], growth, bottom, side)
        found = self.bottom.outputs
        for layers, short_cut in zip(reversed(down), reversed(widths), strict=False):
            self.grow.append(nn.ConvTranspose2d(found, found, 2, stride=2))
            self.up.append(Dense(found + short_cut, growth, layers, side))
            last, found = found + short_cut, layers * growth
        self.head = nn.Conv2d(last + found, len(CLASSES), 1)

    def forward(self, fields: Tensor) -> Tensor:
        """Map fields (samples, channels, rows, columns) to logits (samples, classes, ...)."""
        images, short_cuts = self.first(fields), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            images = torch.cat([images, block(images)], dim=1)
            short_cuts.append(images)
            images = shrink(images)
        found = self.bottom(images)
        for grow, block in zip(self.grow, self.up, strict=True):
            images = torch.cat([grow(found), short_cuts.pop()], dim=1)
            found = block(images)
        logits: Tensor = self.head(torch.cat([images, found], dim=1))
        return logits


@dataclass(frozen=True)
class Segmentation(Weather):
    """Tiramisu on weather."""

    first: int
    growth: int
    blocks: tuple[int, ...]
    side: int

    def network(self) -> nn.Module:
        """Build the network."""
        return Tiramisu(self.channels, self.first, self.growth, self.blocks, self.side)


if __name__ == "__main__":
    main(Segmentation)
