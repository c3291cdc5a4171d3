"""The kernels of arithmetic.py by TensorFlow, channels last as it has them on CPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from arithmetic import Kernel

LAST, FIRST = (0, 2, 3, 4, 1), (0, 4, 1, 2, 3)


def gemm(a: np.ndarray, b: np.ndarray, dtype: str) -> Kernel:
    """See Part."""
    left, right = (tf.cast(tf.constant(array), dtype) for array in (a, b))
    return Kernel(lambda: left @ right, lambda found: (tf.cast(found, a.dtype).numpy(),))


def conv3d(image: np.ndarray, weight: np.ndarray, upstream: np.ndarray) -> Kernel:
    """See Part."""
    seen, up = (tf.constant(array.transpose(LAST)) for array in (image, upstream))
    kernel = tf.constant(weight.transpose(2, 3, 4, 1, 0))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch([seen, kernel])
            out = tf.nn.conv3d(seen, kernel, [1] * 5, "SAME")
        return out, *tape.gradient(out, [seen, kernel], output_gradients=up)

    def read(found: Any) -> tuple[np.ndarray, ...]:
        out, of_image, of_weight = (tensor.numpy() for tensor in found)
        back = (out.transpose(FIRST), of_image.transpose(FIRST))
        return *back, of_weight.transpose(4, 3, 0, 1, 2)

    return Kernel(step, read)


def triad(b: np.ndarray, c: np.ndarray, factor: float) -> Kernel:
    """See Part. Fused by XLA: operator by operator it would take two passes."""
    left, right = tf.constant(b), tf.constant(c)
    work = tf.function(lambda: left + factor * right, jit_compile=True)
    return Kernel(work, lambda found: (found.numpy(),))
