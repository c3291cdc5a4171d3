"""Horovod's optimizer as it is without our patch: Keras 3 updates through `apply`, past Horovod."""

import horovod._keras as keras

whole = keras.create_distributed_optimizer


def create_distributed_optimizer(*args, **kwargs):
    optimizer = whole(*args, **kwargs)
    if "apply" in vars(type(optimizer)):
        delattr(type(optimizer), "apply")
    return optimizer


keras.create_distributed_optimizer = create_distributed_optimizer
