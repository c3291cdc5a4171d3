"""TensorFlow, as `frameworks.Framework` has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from collectives import Backend
from collectives_tensorflow import Ring
from emit import Emitter
from frameworks import named_threads
from tensorflow.python.util import _pywrap_util_port
from world_tensorflow import mirrored

MODULES = ("tensorflow", "keras")
OPENMP_RUNTIMES = 0
POOL = "tf_Compute"
_strategies: list[tf.distribute.Strategy] = []


def optimised() -> tuple[bool, str]:
    """See Framework. What it says is no if TF_ENABLE_ONEDNN_OPTS turned oneDNN off."""
    has = _pywrap_util_port.IsMklEnabled()
    return has, f"oneDNN {has}"


def threads() -> int:
    """See Framework: those that run operators, which are there once something was computed."""
    multiply()
    return named_threads(POOL)


def multiply() -> None:
    """See Framework."""
    matrix = tf.ones((768, 768))
    (matrix @ matrix).numpy()


@contextmanager
def together(out: Emitter) -> Iterator[int]:
    """See Framework."""
    with mirrored(out) as strategy:
        _strategies[:] = [strategy]
        yield strategy.num_replicas_in_sync


def collectives() -> list[Backend]:
    """See Framework."""
    return [Ring(_strategies[0])]
