"""The kernels of arithmetic.py by JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from arithmetic import Kernel
from jax import lax

jax.config.update("jax_enable_x64", True)


def ready(program: Any, *arrays: Any) -> Kernel:
    """Compile a program; its result is there when it returns."""
    compiled = jax.jit(program)
    return Kernel(
        lambda: jax.block_until_ready(compiled(*arrays)),
        lambda found: tuple(np.asarray(array) for array in jax.tree.leaves(found)),
    )


def gemm(a: np.ndarray, b: np.ndarray, dtype: str) -> Kernel:
    """See Part."""
    left, right = (jnp.asarray(array, dtype) for array in (a, b))
    kernel = ready(jnp.matmul, left, right)
    return Kernel(kernel.work, lambda found: (np.asarray(found, a.dtype),))


def conv3d(image: np.ndarray, weight: np.ndarray, upstream: np.ndarray) -> Kernel:
    """See Part."""

    def step(image: Any, weight: Any, upstream: Any) -> Any:
        out, back = jax.vjp(
            lambda i, w: lax.conv_general_dilated(i, w, (1, 1, 1), "SAME"), image, weight
        )
        return out, *back(upstream)

    return ready(step, *map(jnp.asarray, (image, weight, upstream)))


def triad(b: np.ndarray, c: np.ndarray, factor: float) -> Kernel:
    """See Part."""
    return ready(lambda b, c: b + factor * c, jnp.asarray(b), jnp.asarray(c))
