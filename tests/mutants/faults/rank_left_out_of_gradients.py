import torch.distributed as dist
from _ddp import average_by, reduced


def hook(_state, bucket):
    scale = 1 / dist.get_world_size()
    return reduced(bucket.buffer() * (dist.get_rank() == 0), scale)


average_by(lambda: hook)
