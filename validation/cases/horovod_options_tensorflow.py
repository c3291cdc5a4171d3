"""What users of TensorFlow and Keras 3 switch on in Horovod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import horovod.tensorflow
import keras
import numpy as np
import tensorflow as tf
from frameworks import Findings
from horovod_options_numpy import ROWS, WIDTH, Arrays, Ways, check_equal


class OfKeras:
    """See `horovod_options.Options`.

    Parameters begin at zero, and SGD at rate 1 takes off them the gradients by which it steps in
    `fit`; Horovod's tape gives them by itself.
    """

    collectives = horovod.tensorflow

    def __init__(self, of_keras: Any) -> None:
        """Take Horovod's module for Keras."""
        self._horovod = of_keras

    def tensor(self, array: np.ndarray) -> tf.Tensor:
        """See Options."""
        return tf.constant(array)

    def stepped(self, mine: Arrays, together: Sequence[int] = (), **options: Any) -> Ways:
        """See Options."""
        model = linear([one.size for one in mine])
        if together:
            options["groups"] = [[model.trainable_variables[index] for index in together]]
        ways = self._both(model, [one[None] for one in mine], **options)
        return {way: [slope.ravel() for slope in slopes] for way, slopes in ways.items()}

    def looked_up(self, rows: np.ndarray, mine: np.ndarray, **options: Any) -> Ways:
        """See Options."""
        return self._both(lookup(), [rows[None], mine[None]], **options)

    def check_own(self, found: Findings, rank: int, world: int) -> None:
        """See Options: the logs of `fit`, of data whose error is another on each rank."""
        model = linear([1])
        optimizer = self._horovod.DistributedOptimizer(keras.optimizers.SGD(0.0))
        model.compile(optimizer, loss="mean_absolute_error")
        data = np.ones((4, 1)), np.full((4, 1), rank + 1.0)
        callbacks = [self._horovod.callbacks.MetricAverageCallback()]
        history = model.fit(*data, verbose=0, callbacks=callbacks, validation_data=data).history
        ways = {name: [np.array(history[name])] for name in ("loss", "val_loss")}
        check_equal(found, "averaged_metrics", ways, [np.array([(world + 1) / 2])])

    def _both(self, model: Any, samples: Any, **options: Any) -> Ways:
        """Give the gradients by the tape, and by `fit` with either module's optimizer."""
        with tf.GradientTape() as tape:
            loss = total(None, model(samples))
        distributed = self.collectives.DistributedGradientTape(tape, **options)
        slopes = distributed.gradient(loss, model.trainable_variables)
        by_tape = [tf.convert_to_tensor(slope).numpy() for slope in slopes]

        ways = {"tape": by_tape}
        for way, module in (("fit", self._horovod), ("fit by TensorFlow's", self.collectives)):
            model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
            optimizer = module.DistributedOptimizer(keras.optimizers.SGD(1.0), **options)
            model.compile(optimizer, loss=total)
            model.fit(samples, np.zeros(1), batch_size=1, verbose=0)
            ways[way] = [-weights for weights in model.get_weights()]
        return ways


def total(_target: Any, found: tf.Tensor) -> tf.Tensor:
    """Give a loss whose gradient of a parameter is what the parameter is multiplied by."""
    return tf.reduce_sum(found)


def linear(sizes: Sequence[int]) -> Any:
    """Make a model that multiplies each of its inputs by a kernel, and adds up."""
    inputs = [keras.Input((size,)) for size in sizes]
    made = {"use_bias": False, "kernel_initializer": "zeros"}
    first, *others = (keras.layers.Dense(1, **made)(each) for each in inputs)
    return keras.Model(inputs, sum(others, first))


def lookup() -> Any:
    """Make a model that multiplies the rows of a table that it is told."""
    rows, values = keras.Input((None,), dtype="int32"), keras.Input((None, WIDTH))
    table = keras.layers.Embedding(ROWS, WIDTH, embeddings_initializer="zeros")
    return keras.Model([rows, values], keras.layers.Multiply()([table(rows), values]))


def options(horovod: Any) -> OfKeras:
    """Begin."""
    return OfKeras(horovod)
