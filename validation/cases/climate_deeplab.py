"""DeepLabv3+ finds vortices and atmospheric rivers in synthetic weather.

Chen et al. 2018 (arXiv:1802.02611) on a residual encoder, as Kurth et al. 2018 (arXiv:1810.01993)
used it for climate; trained by LAMB, as DeepCAM is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from climate import Weather
from climate_data import CLASSES
from resnet import EXPANSION, Encoder, convolved
from science import MlPerf
from torch import Tensor, nn
from trainer import main


def resized(images: Tensor, like: Tensor) -> Tensor:
    """Interpolate images to the size of others."""
    size = like.shape[-2:]
    return nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: convolutions that look near and far, and the whole image."""

    def __init__(self, inputs: int, outputs: int, rates: Sequence[int]) -> None:
        """Build it, with a 3 x 3 convolution dilated by each rate."""
        super().__init__()
        self.near = nn.ModuleList(
            [
                convolved(inputs, outputs, 1),
                *(convolved(inputs, outputs, 3, dilation=rate) for rate in rates),
            ]
        )
        self.whole = convolved(inputs, outputs, 1)
        self.joined = convolved((2 + len(rates)) * outputs, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (images, inputs, ...) to (images, outputs, ...)."""
        whole = self.whole(images.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *images.shape[2:])
        seen = torch.cat([*(layer(images) for layer in self.near), whole], dim=1)
        return torch.relu(self.joined(torch.relu(seen)))


class DeepLab(nn.Module):
    """An encoder to a 16th of each side, the pyramid, and a decoder at a quarter."""

    def __init__(
        self, channels: int, width: int, blocks: Sequence[int], rates: Sequence[int]
    ) -> None:
        """Build it; pyramid and decoder are as wide as an encoder's first stage."""
        super().__init__()
        deep = EXPANSION * width
        shallow = 3 * width // 4
        self.encoder = Encoder(channels, width, blocks, (1, 2, 2, 1), (1, 1, 1, 2))
        self.pyramid = Pyramid(self.encoder.outputs, deep, rates)
        self.low = nn.Sequential(convolved(deep, shallow, 1), nn.ReLU())
        self.decoder = nn.Sequential(
            convolved(deep + shallow, deep, 3),
            nn.ReLU(),
            convolved(deep, deep, 3),
            nn.ReLU(),
            nn.Conv2d(deep, len(CLASSES), 1),
        )

    def forward(self, fields: Tensor) -> Tensor:
        """Map fields (samples, channels, rows, columns) to logits (samples, classes, ...)."""
        first, *_, last = self.encoder(fields)
        low = self.low(first)
        high = resized(self.pyramid(last), low)
        return resized(self.decoder(torch.cat([high, low], dim=1)), fields)


@dataclass(frozen=True)
class Segmentation(Weather):
    """DeepLabv3+ on weather."""

    width: int
    blocks: tuple[int, ...]
    rates: tuple[int, ...]

    mlperf = MlPerf("deepcam", "eval_accuracy")

    def network(self) -> nn.Module:
        """Build the network."""
        return DeepLab(self.channels, self.width, self.blocks, self.rates)


if __name__ == "__main__":
    main(Segmentation)
