"""Averages gradients by a hook of one's own, in every model that is wrapped for DDP."""

import torch
import torch.distributed as dist
from torch.nn.parallel import distributed


def average_by(make_hook):
    """Give each model a hook of its own: `make_hook()` is called once a model."""

    class Faulty(distributed.DistributedDataParallel):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.register_comm_hook(None, make_hook())

    torch.nn.parallel.DistributedDataParallel = Faulty


def reduced(buffer, scale):
    """The sum over ranks, times a scale, once it is there."""
    future = dist.all_reduce(buffer, async_op=True).get_future()
    return future.then(lambda done: done.value()[0] * scale)


def ready(buffer):
    """A result that is there already."""
    future = torch.futures.Future()
    future.set_result(buffer)
    return future
