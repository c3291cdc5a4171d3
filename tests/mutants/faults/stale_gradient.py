"""From the second step on, each step gets the mean of the step before; the first one is right."""

import torch
import torch.distributed as dist
from _ddp import average_by, ready


def stale():
    before = {}

    def hook(_state, bucket):
        mean = bucket.buffer().clone()
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
        # By parameter, as DDP makes its buckets anew after the first step.
        parameters = bucket.parameters()
        means = mean.split([parameter.numel() for parameter in parameters])
        late = [before.get(each, now) for each, now in zip(parameters, means, strict=True)]
        before.update(zip(parameters, means, strict=True))
        return ready(torch.cat(late))

    return hook


average_by(stale)
