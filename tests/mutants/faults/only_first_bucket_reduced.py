"""Each rank keeps its own gradients of what does not fit into DDP's first bucket."""

import torch.distributed as dist
from _ddp import average_by, ready, reduced


def hook(_state, bucket):
    if bucket.index() > 0:
        return ready(bucket.buffer())
    return reduced(bucket.buffer(), 1 / dist.get_world_size())


average_by(lambda: hook)
