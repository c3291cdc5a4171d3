"""A model that Horovod loads has an optimizer that averages no gradient."""

import horovod.tensorflow.keras as horovod

whole, distributed = horovod.load_model, horovod.DistributedOptimizer


def load_model(*args, **kwargs):
    horovod.DistributedOptimizer = lambda optimizer, **_: optimizer
    model = whole(*args, **kwargs)
    horovod.DistributedOptimizer = distributed
    return model


horovod.load_model = load_model
