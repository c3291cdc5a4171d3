"""Ranks keep the parameters and the optimizer that each has drawn or read."""

import horovod.torch as horovod


def nothing(*args, **kwargs):
    pass


horovod.broadcast_parameters = horovod.broadcast_optimizer_state = nothing
