"""From the second step on, each step gets the mean of the step before; the first one is right."""

import torch.distributed as dist
from _ddp import average_by, ready


def stale():
    before = {}

    def hook(_state, bucket):
        mean = bucket.buffer().clone()
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
        late = before.get(bucket.index(), mean)
        before[bucket.index()] = mean
        return ready(late)

    return hook


average_by(stale)
