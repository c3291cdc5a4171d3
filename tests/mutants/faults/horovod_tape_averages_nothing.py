"""Horovod's gradient tape gives each rank the gradient of its own samples."""

import horovod.tensorflow as horovod


def its_own(tape, **_kwargs):
    return tape


horovod.DistributedGradientTape = its_own
