"""Batch normalisation over the batch of all ranks, on any device.

torch's own SyncBatchNorm refuses CPUs. Without it every rank would normalise its own share, and a
model trained on two ranks would be another one than that trained on one.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def world() -> int:
    """Give the number of ranks, 1 where no process group was joined."""
    return dist.get_world_size() if dist.is_initialized() else 1


def total(part: Tensor) -> Tensor:
    """Sum over ranks, in a way that gradients find back."""
    found: Tensor = all_reduce(part) if world() > 1 else part
    return found


def over_ranks(values: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Give mean and variance over some axes of all ranks' values; each rank has as many."""
    count = world() * math.prod(values.shape[axis] for axis in axes)
    mean = total(values.sum(axes)) / count
    # About the mean: a difference of squares would lose digits.
    around = values - mean.reshape([1 if i in axes else n for i, n in enumerate(values.shape)])
    return mean, total(around.square().sum(axes)) / count


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`, with the mean and variance of all ranks' samples in training.

    Ranks have as many samples each. As in torch, the running variance is unbiased and the one that
    normalises is not.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Normalise images (samples, channels, ...)."""
        if not self.training or world() == 1:
            return super().forward(input)
        count = world() * input.numel() // input.shape[1]
        mean, variance = over_ranks(input, (0, 2, 3))
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (input - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1
