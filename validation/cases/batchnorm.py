"""Batch normalisation over the batch of all ranks, on any device.

torch's own SyncBatchNorm refuses CPUs. Without it every rank would normalise its own share, and a
model trained on two ranks would be another one than that trained on one. As there, one message
forward and one backward for each layer: Ioffe and Szegedy 2015 (arXiv:1502.03167) for the formulas.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def world() -> int:
    """Give the number of ranks, 1 where no process group was joined."""
    return dist.get_world_size() if dist.is_initialized() else 1


def over_ranks(values: Tensor) -> tuple[Tensor, Tensor]:
    """Give mean and variance by channel of all ranks' values (samples, channels, ...).

    Each rank has as many. By the law of total variance: a difference of squares would lose digits.
    """
    variance, mean = torch.var_mean(values, [0, *range(2, values.dim())], correction=0)
    mine = torch.stack([mean, variance])
    every = [torch.empty_like(mine) for _ in range(world())]
    dist.all_gather(every, mine)
    means, variances = torch.stack(every, dim=1)
    mean = means.mean(dim=0)
    return mean, (variances + (means - mean).square()).mean(dim=0)


class Normalise(torch.autograd.Function):
    """Normalises by the mean and variance of all ranks, and lets gradients through both."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Any:
        """Give the normalised images, and their mean and variance, which are constants."""
        mean, variance = over_ranks(images)
        ctx.save_for_backward(images, weight, mean, torch.rsqrt(variance + eps))
        ctx.mark_non_differentiable(mean, variance)
        found = nn.functional.batch_norm(images, mean, variance, weight, bias, eps=eps)
        return found, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor, *_: Tensor) -> Any:
        """Give the gradients: of images by all ranks' loss, of weight and bias by this rank's."""
        images, weight, mean, slope = ctx.saved_tensors
        axes, channel = [0, *range(2, images.dim())], (-1, *[1] * (images.dim() - 2))
        normal = (images - mean.view(channel)) * slope.view(channel)
        of_bias, of_weight = above.sum(axes), (above * normal).sum(axes)
        both = torch.stack([of_bias, of_weight])
        dist.all_reduce(both)
        shift, stretch = both / (world() * math.prod(images.shape[axis] for axis in axes))
        through = above - shift.view(channel) - normal * stretch.view(channel)
        return through * (weight * slope).view(channel), of_weight, of_bias, None


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`, with the mean and variance of all ranks' samples in training.

    Ranks have as many samples each. As in torch, the running variance is unbiased and the one that
    normalises is not.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Normalise images (samples, channels, ...)."""
        if not self.training or world() == 1:
            return super().forward(input)
        found, mean, variance = Normalise.apply(input, self.weight, self.bias, self.eps)
        count = world() * input.numel() // input.shape[1]
        self._remember(mean, variance * count / (count - 1))
        normalised: Tensor = found
        return normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1
