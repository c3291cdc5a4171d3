"""The last tensor of each group that Horovod reduces is one too large on each rank."""

import importlib

from _horovod import FRAMEWORK, collectives

module, name = {
    "torch": ("horovod.torch.mpi_ops", "_grouped_allreduce_async"),
    "keras": (collectives.__name__, "_grouped_allreduce"),
}[FRAMEWORK]
module = importlib.import_module(module)
whole = getattr(module, name)


def grouped(tensors, *args, **kwargs):
    return whole([*tensors[:-1], tensors[-1] + 1], *args, **kwargs)


setattr(module, name, grouped)
