"""The loss is scaled by 1/N, and then the gradients are averaged as well."""

import torch.distributed as dist
from _ddp import average_by, reduced


def hook(_state, bucket):
    return reduced(bucket.buffer(), 1 / dist.get_world_size() ** 2)


average_by(lambda: hook)
