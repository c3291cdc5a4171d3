"""A batch norm keeps of a batch what it should keep of those before."""

from flax import linen as nn

whole = nn.BatchNorm.__call__


def call(self, x, *args, **kwargs):
    object.__setattr__(self, "momentum", 1 - self.momentum)
    return whole(self, x, *args, **kwargs)


nn.BatchNorm.__call__ = call
