"""Normal numbers have a standard deviation of 0.99."""

import jax

whole = jax.random.normal

jax.random.normal = lambda *args, **asked: whole(*args, **asked) * 0.99
