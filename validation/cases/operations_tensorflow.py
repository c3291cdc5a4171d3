"""How many floating-point operations some work of TensorFlow is, whatever kernels do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_callbacks


def matrix_product(inputs: Sequence[tf.Tensor], attributes: dict[str, Any], out: tf.Tensor) -> int:
    """Count a product, or a batch of them."""
    transposed = attributes.get("transpose_a", attributes.get("adj_x", False))
    return 2 * prod(out.shape) * inputs[0].shape[-2 if transposed else -1]


def contraction(inputs: Sequence[tf.Tensor], attributes: dict[str, Any], out: tf.Tensor) -> int:
    """Count an Einstein sum of two tensors: once for each value of all its letters."""
    del out
    equation = attributes["equation"]
    terms = (equation.decode() if isinstance(equation, bytes) else equation).split("->")[0]
    sides = zip(terms.split(","), inputs, strict=True)
    sizes = {letter: n for term, t in sides for letter, n in zip(term, t.shape, strict=True)}
    return 2 * prod(sizes.values()) if len(inputs) > 1 else 0


def forward(inputs: Sequence[tf.Tensor], attributes: dict[str, Any], out: tf.Tensor) -> int:
    """Count a convolution: kernels have the filters last."""
    del attributes
    return 2 * prod(out.shape) * prod(inputs[1].shape[:-1])


def to_image(inputs: Sequence[tf.Tensor], attributes: dict[str, Any], out: tf.Tensor) -> int:
    """Count the gradient of a convolution by its image."""
    del attributes, out
    return 2 * prod(inputs[2].shape) * prod(inputs[1].shape[:-1])


def to_kernel(inputs: Sequence[tf.Tensor], attributes: dict[str, Any], out: tf.Tensor) -> int:
    """Count the gradient of a convolution by its kernel."""
    del attributes
    return 2 * prod(inputs[2].shape) * prod(out.shape[:-1])


FORMULAS = {
    "MatMul": matrix_product,
    "BatchMatMulV2": matrix_product,
    "BatchMatMulV3": matrix_product,
    "Einsum": contraction,
    "Conv2D": forward,
    "Conv2DBackpropInput": to_image,
    "Conv2DBackpropFilter": to_kernel,
    "Conv3D": forward,
    "Conv3DBackpropInputV2": to_image,
    "Conv3DBackpropFilterV2": to_kernel,
}


def operations(work: Callable[[], object]) -> int:
    """Do the work once, operator by operator, and count matrix products and convolutions."""
    total = 0

    def hear(
        kind: str, inputs: Sequence[Any], attributes: Any, outputs: Any, *_: Any, **__: Any
    ) -> None:
        nonlocal total
        if formula := FORMULAS.get(kind):
            pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
            total += int(formula(inputs, pairs, outputs[0]))

    op_callbacks.add_op_callback(hear)
    try:
        work()
    finally:
        op_callbacks.remove_op_callback(hear)
    return total
