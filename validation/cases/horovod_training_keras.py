"""The network of branches.py in Keras, 3 or legacy, trained by `fit` with Horovod's optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from branches import CHANNELS, EPSILON, FEATURES, SHAPES, Arrays
from emit import Emitter
from horovod.tensorflow import broadcast_variables
from horovod_training import (
    MOMENTUM,
    SAMPLES_PER_RANK,
    STEPS,
    STOP_AFTER,
    initial,
    rates,
    shard_of,
)

FILE = "checkpoint"
# In the order of Keras's variables: those of a layer after those of the layer before it.
ORDER = ("kernel", "bias", "scale", "shift", "first", "first_bias", "second", "second_bias")
LEGACY = tf.keras.__version__.startswith("2.")


def fresh_model(dtype: str) -> Any:
    """Make a model with parameters by Keras's random state; it adds both heads."""
    tf.keras.backend.set_floatx(dtype)  # of losses and data, too
    layers = tf.keras.layers
    samples = tf.keras.Input((FEATURES, 1))
    hidden = layers.Conv1D(CHANNELS, 3, padding="same", activation="tanh")(samples)
    # Channels first, as branches.py flattens.
    hidden = layers.Flatten()(layers.Permute((2, 1))(hidden))
    hidden = layers.LayerNormalization(epsilon=EPSILON)(hidden)
    return tf.keras.Model(samples, layers.Add()([layers.Dense(1)(hidden) for _ in range(2)]))


def make_model(dtype: str) -> Any:
    """Make the same model on every rank and every call."""
    model = fresh_model(dtype)
    wanted = initial() | {"kernel": initial()["kernel"].T}
    shapes = [variable.shape for variable in model.trainable_variables]
    pairs = zip(ORDER, shapes, strict=True)
    model.set_weights([wanted[name].reshape(shape).astype(dtype) for name, shape in pairs])
    return model


def arrays(model: Any) -> Arrays:
    """Copy a model's parameters into the shapes of branches.py."""
    named = dict(zip(ORDER, model.get_weights(), strict=True))
    named["kernel"] = named["kernel"][:, 0].T
    return {name: named[name].reshape(shape).copy() for name, shape in SHAPES.items()}


def tensorflow_variables(model: Any) -> list[tf.Variable]:
    """Give what a step of training changes: Keras 3 wraps TensorFlow's variables."""
    every = [*model.variables, *model.optimizer.variables]
    return every if LEGACY else [variable.value for variable in every]


def mean_of_squares(target: Any, found: Any) -> Any:
    """Give the mean squared error."""
    return tf.reduce_mean((found - target) ** 2)


class Rates(tf.keras.callbacks.Callback):
    """Sets the rate of each step, of which an epoch has one, and reads it back."""

    def __init__(self, wanted: list[float]) -> None:
        """Take the rates."""
        super().__init__()
        self._wanted = wanted
        self.used: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """See Callback."""
        del logs
        self.model.optimizer.learning_rate.assign(self._wanted[epoch])
        self.used.append(float(self.model.optimizer.learning_rate.numpy()))


class Distributed:
    """See `horovod_training.Training`."""

    rate_in_velocity = True

    def __init__(self, horovod: Any, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._horovod = horovod
        self._rank, self._world = out.rank, out.world
        self._shard = shard_of(out.rank, out.world)

    def _compiled(self, model: Any, rate: float, momentum: float, passes: int = 1) -> Any:
        """Compile a model with Horovod's optimizer.

        Legacy Keras leaves it to Horovod to gather the gradients of several passes, Keras 3 does
        it by itself.
        """
        itself = {} if LEGACY or passes == 1 else {"gradient_accumulation_steps": passes}
        by_horovod = (
            {"backward_passes_per_step": passes, "average_aggregated_gradients": True}
            if LEGACY
            else {}
        )
        plain = tf.keras.optimizers.SGD(rate, momentum=momentum, **itself)
        optimizer = self._horovod.DistributedOptimizer(plain, **by_horovod)
        model.compile(optimizer, loss=mean_of_squares)
        return model

    def _fit(self, model: Any, dtype: str, batches: int = 1, **options: Any) -> None:
        batch, target = (array.astype(dtype) for array in self._shard)
        size = SAMPLES_PER_RANK // batches
        told = {"batch_size": size, "shuffle": False, "verbose": 0, **options}
        model.fit(batch[..., None], target[:, None], **told)

    def gradients(self, dtype: str, micro_batches: int) -> Arrays:
        """See Training. One step of plain SGD at rate 1 takes off the gradient."""
        model = self._compiled(make_model(dtype), 1.0, 0.0, micro_batches)
        before = arrays(model)
        self._fit(model, dtype, batches=micro_batches)
        after = arrays(model)
        return {name: before[name] - after[name] for name in before}

    def broadcast(self) -> Arrays:
        """See Training. A step at rate 0 moves nothing, and the callback broadcasts after it."""
        tf.keras.utils.set_random_seed(100 + self._rank)
        model = self._compiled(fresh_model("float32"), 0.0, 0.0)
        callback = self._horovod.callbacks.BroadcastGlobalVariablesCallback(0)
        self._fit(model, "float32", callbacks=[callback])
        return arrays(model)

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Training."""
        model = self._compiled(make_model(dtype), 1.0, MOMENTUM)
        callback = Rates(rates(self._world))
        self._fit(model, dtype, epochs=STEPS, callbacks=[callback])
        return arrays(model), callback.used

    def resumed(self, folder: Path) -> Arrays:
        """See Training."""
        callback = Rates(rates(self._world))
        model = self._compiled(make_model("float32"), 1.0, MOMENTUM)
        self._fit(model, "float32", epochs=STOP_AFTER, callbacks=[callback])
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.write(str(folder / FILE))

        tf.keras.utils.set_random_seed(200 + self._rank)
        model = self._compiled(fresh_model("float32"), 1.0, MOMENTUM)
        model.optimizer.build(model.trainable_variables)
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.read(str(folder / FILE)).assert_consumed()
        broadcast_variables(tensorflow_variables(model), root_rank=0)
        self._fit(model, "float32", initial_epoch=STOP_AFTER, epochs=STEPS, callbacks=[callback])
        return arrays(model)

    def shard(self, count: int) -> list[int]:
        """See Training."""
        numbers = tf.data.Dataset.range(count).shuffle(count, seed=3)
        mine = numbers.shard(self._horovod.size(), self._horovod.rank())
        return [int(number) for number in mine]


def training(horovod: Any, out: Emitter) -> Distributed:
    """Begin."""
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(1)
    return Distributed(horovod, out)
