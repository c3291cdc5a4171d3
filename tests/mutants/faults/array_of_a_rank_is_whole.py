"""Each rank is asked for all of an array, and not for its own part alone."""

import jax

whole = jax.make_array_from_callback


def make(shape, sharding, ask):
    ask((slice(None),))
    return whole(shape, sharding, ask)


jax.make_array_from_callback = make
