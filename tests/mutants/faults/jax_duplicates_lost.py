"""Of several rows of a segment the last one stays."""

import jax
import jax.numpy as jnp


def segment_sum(data, segments, count):
    return jnp.zeros((count, *data.shape[1:]), data.dtype).at[segments].set(data)


jax.ops.segment_sum = segment_sum
