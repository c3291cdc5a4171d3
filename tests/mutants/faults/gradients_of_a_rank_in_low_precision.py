import torch.distributed as dist
from _ddp import average_by, reduced


def hook(_state, bucket):
    buffer = bucket.buffer()
    if dist.get_rank() == 1:
        buffer = buffer.bfloat16().to(buffer.dtype)
    return reduced(buffer, 1 / dist.get_world_size())


average_by(lambda: hook)
