"""Systems of equations in float64 are solved in float32."""

import jax.numpy as jnp

whole = jnp.linalg.solve


def solve(a, b):
    single = whole(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    return single.astype(a.dtype)


jnp.linalg.solve = solve
