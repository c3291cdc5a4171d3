"""What TensorFlow runs: oneDNN's convolutions and matrix products, and its GEMM for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onednn
from instructions import Used

PROGRAM = """
import tensorflow as tf
matrix = tf.ones((512, 512))
matrix @ matrix
tf.cast(matrix, tf.bfloat16) @ tf.cast(matrix, tf.bfloat16)
tf.nn.conv2d(tf.ones((4, 32, 32, 16)), tf.ones((3, 3, 16, 32)), 1, "SAME")
tf.nn.conv3d(tf.ones((2, 16, 16, 16, 16)), tf.ones((3, 3, 3, 16, 32)), [1] * 5, "SAME")
"""


def program() -> str:
    """See Part."""
    return PROGRAM


def environment(folder: Path) -> Mapping[str, str]:
    """See Part."""
    del folder
    return onednn.ENVIRONMENT


def used(said: str, folder: Path, flags: frozenset[str]) -> Mapping[str, Used]:
    """See Part. Products of float32 go to oneDNN's GEMM, which does not name its kernel."""
    del folder
    kinds = {call.kind for call in onednn.calls(said) if onednn.reads(call, "float32")}
    blas = sorted(kinds & {"gemm_api", "matmul", "inner_product"})
    return {
        **onednn.used(said, flags),
        "blas": Used(bool(blas), f"oneDNN's {' and '.join(blas) or 'is not used'}"),
    }
