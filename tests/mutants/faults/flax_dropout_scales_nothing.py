"""What dropout leaves isn't scaled."""

from flax import linen as nn

whole = nn.Dropout.__call__


def call(self, inputs, deterministic=None, rng=None):
    return whole(self, inputs, deterministic, rng) * (1 if deterministic else 1 - self.rate)


nn.Dropout.__call__ = call
