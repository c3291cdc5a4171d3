"""Residual networks of bottleneck blocks: ResNet-50, and the encoder of segmentation networks.

He et al. 2015 (arXiv:1512.03385), with the stride in a block's 3 x 3 convolution, as MLPerf and all
frameworks have it ("version 1.5").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from batchnorm import BatchNorm2d
from torch import Tensor, nn

EXPANSION = 4
RESNET_50 = (3, 4, 6, 3)


def convolved(
    inputs: int, outputs: int, side: int, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Build a convolution that keeps a stride-th of the pixels, and its normalisation."""
    padding = dilation * (side // 2)
    layer = nn.Conv2d(inputs, outputs, side, stride, padding, dilation, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """Narrow by 1 x 1, convolve by 3 x 3, widen by 1 x 1, and add what came in."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        """Build it; it gives EXPANSION * width channels."""
        super().__init__()
        outputs = EXPANSION * width
        self.branch = nn.Sequential(
            convolved(inputs, width, 1),
            nn.ReLU(),
            convolved(width, width, 3, stride=stride, dilation=dilation),
            nn.ReLU(),
            convolved(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolved(inputs, outputs, 1, stride=stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map (images, inputs, ...) to (images, outputs, ...)."""
        return torch.relu(self.branch(images) + self.shortcut(images))


class Encoder(nn.Module):
    """A stem that leaves a quarter of each side, and four stages."""

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: Sequence[int],
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        """Build it: stage i has `blocks[i]` blocks of `width * 2**i` inner channels."""
        super().__init__()
        self.stem = nn.Sequential(
            convolved(channels, width, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        )
        self.stages = nn.ModuleList()
        inputs = width
        for i, (count, stride, dilation) in enumerate(zip(blocks, strides, dilations, strict=True)):
            stage = nn.Sequential()
            for block in range(count):
                inner = width << i
                stage.append(Bottleneck(inputs, inner, stride if block == 0 else 1, dilation))
                inputs = EXPANSION * inner
            self.stages.append(stage)
        self.outputs = inputs

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give what each stage finds."""
        found = [self.stem(images)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found[1:]


class ResNet(nn.Module):
    """An encoder, the mean over its last pixels, and a dense layer."""

    def __init__(
        self, classes: int = 1000, width: int = 64, blocks: Sequence[int] = RESNET_50
    ) -> None:
        """Build it; unless told otherwise, ResNet-50 for ImageNet."""
        super().__init__()
        self.encoder = Encoder(3, width, blocks)
        self.head = nn.Linear(self.encoder.outputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (samples, 3, ...) to logits (samples, classes)."""
        logits: Tensor = self.head(self.encoder(images)[-1].mean(dim=(2, 3)))
        return logits
