"""Adam doesn't correct the bias of its means, which begin as zeros."""

import jax
import jax.numpy as jnp
import optax


def adam(rate, b1=0.9, b2=0.999, eps=1e-8):
    def init(p):
        return p * 0, p * 0

    def update(g, state, p=None):
        mean, square = b1 * state[0] + (1 - b1) * g, b2 * state[1] + (1 - b2) * g**2
        step = jax.tree.map(lambda m, s: -rate * m / (jnp.sqrt(s) + eps), mean, square)
        return step, (mean, square)

    return optax.GradientTransformation(init, update)


optax.adam = adam
