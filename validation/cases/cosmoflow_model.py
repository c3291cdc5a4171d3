"""The CosmoFlow network, for any cube size.

Five blocks of convolution, LeakyReLU and pooling, then dense layers of 128 and 64 with dropout,
and 1.2 tanh to reach the ends of labels in [-1, 1]: Mathuriya et al. 2018, arXiv:1808.04728, with
the layer sizes of the MLPerf HPC reference (https://github.com/mlcommons/hpc, cosmoflow).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from cosmoflow_shape import OUTPUT_GAIN, SLOPE, Shape
from torch import Tensor, nn


def initialise(layer: nn.Module) -> None:
    """Keep the variance of activations from layer to layer (He et al. 2015, arXiv:1502.01852).

    With torch's default the signal fades over the eight layers, and training stalls for minutes.
    """
    if isinstance(layer, nn.Conv3d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, a=SLOPE)
        nn.init.zeros_(layer.bias)


class CosmoFlow(nn.Module):
    """Maps density cubes (samples, channels, cells^3) to labels (samples, outputs)."""

    def __init__(self, shape: Shape) -> None:
        """Build the network; the features double from block to block."""
        super().__init__()
        widths = [shape.channels, *(shape.features << i for i in range(shape.blocks))]
        blocks = [
            nn.Sequential(nn.Conv3d(a, b, 3, padding="same"), nn.LeakyReLU(SLOPE), nn.MaxPool3d(2))
            for a, b in pairwise(widths)
        ]
        flat = widths[-1] * (shape.cells >> shape.blocks) ** 3
        self.convolutions = nn.Sequential(*blocks)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, 128),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(shape.dropout),
            nn.Linear(128, 64),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(shape.dropout),
            nn.Linear(64, shape.outputs),
        )
        self.apply(initialise)
        # Start inside the linear part of tanh: from its flat ends there is no way back.
        nn.init.xavier_normal_(self.dense[-1].weight, gain=OUTPUT_GAIN)

    def forward(self, cubes: Tensor) -> Tensor:
        """Predict the labels."""
        return 1.2 * torch.tanh(self.dense(self.convolutions(cubes)))
