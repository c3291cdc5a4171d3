"""The network of branches.py in Keras, 3 or legacy, trained by `fit` with Horovod's optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from branches import CHANNELS, EPSILON, FEATURES, Arrays, batch_of, shapes
from emit import Emitter
from gradients import EPOCHS, MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, own_seed, rates, share
from horovod.tensorflow import broadcast_variables
from horovod_training import STOP_AFTER

FILE = "checkpoint"
# The layers by name, and their parameters in Keras's order.
LAYERS = ("convolution", "norm", "first", "second")
PARAMETERS = ("kernel", "bias", "scale", "shift", "first", "first_bias", "second", "second_bias")
LEGACY = tf.keras.Model.__module__.startswith("tf_keras")


def make_model(dtype: str, channels: int = CHANNELS, seed: int = SEED) -> Any:
    """Make the same model on every call: samples, and whether each uses the second head."""
    tf.keras.utils.set_random_seed(seed)
    tf.keras.backend.set_floatx(dtype)  # of losses and data, too
    layers = tf.keras.layers
    samples, uses = tf.keras.Input((FEATURES, 1)), tf.keras.Input((1,))
    hidden = layers.Conv1D(channels, 3, padding="same", activation="tanh", name="convolution")(
        samples
    )
    # Channels first, as branches.py flattens.
    hidden = layers.Flatten()(layers.Permute((2, 1))(hidden))
    hidden = layers.LayerNormalization(epsilon=EPSILON, name="norm")(hidden)
    first, second = (layers.Dense(1, name=name)(hidden) for name in ("first", "second"))
    second = layers.Multiply()([second, uses])
    return tf.keras.Model([samples, uses], layers.Add()([first, second]))


def arrays(model: Any) -> Arrays:
    """Copy a model's parameters into the shapes of branches.py."""
    values = [value for name in LAYERS for value in model.get_layer(name).get_weights()]
    named = dict(zip(PARAMETERS, values, strict=True))
    named["kernel"] = named["kernel"][:, 0].T
    wanted = shapes(named["bias"].size)
    return {name: named[name].reshape(shape).copy() for name, shape in wanted.items()}


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
    uneven = True

    def __init__(self, horovod: Any, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._horovod = horovod
        self._rank, self._world = out.rank, out.world
        whole = batch_of(SAMPLES_PER_RANK * out.world)
        self._shard = [share(array, out.rank) for array in whole]

    def initial(self, dtype: str, channels: int = CHANNELS) -> Arrays:
        """See Trainer."""
        return arrays(make_model(dtype, channels))

    def _compile(self, model: Any, rate: float, momentum: float, passes: int = 1) -> None:
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

    def _fit(
        self, model: Any, dtype: str, batches: int = 1, use_second: bool = True, **options: Any
    ) -> None:
        batch, target = (array.astype(dtype) for array in self._shard)
        uses = np.full((SAMPLES_PER_RANK, 1), use_second, dtype)
        size = SAMPLES_PER_RANK // batches
        told = {"batch_size": size, "shuffle": False, "verbose": 0, **options}
        model.fit([batch[..., None], uses], target[:, None], **told)

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """See Trainer. One step of plain SGD at rate 1 takes off the gradient.

        Whether a sample uses the second head is data: Horovod waits for ever for what only some
        ranks have in their graphs, and TensorFlow takes a head out that is multiplied by zero.
        """
        model = make_model(dtype, channels)
        self._compile(model, 1.0, 0.0, micro_batches)
        before = arrays(model)
        self._fit(model, dtype, micro_batches, use_second=self._rank % 2 == 0 or not partly)
        after = arrays(model)
        return {name: before[name] - after[name] for name in before}

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """See Trainer. A step at rate 0 moves nothing, and the callback broadcasts after it."""
        model = make_model("float32", seed=own_seed(self._rank))
        drawn = arrays(model)
        self._compile(model, 0.0, 0.0)
        callback = self._horovod.callbacks.BroadcastGlobalVariablesCallback(0)
        self._fit(model, "float32", callbacks=[callback])
        return {"parameters": (drawn, arrays(model))}

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer."""
        model = make_model(dtype)
        self._compile(model, 1.0, MOMENTUM)
        callback = Rates(rates(self._world))
        self._fit(model, dtype, epochs=STEPS, callbacks=[callback])
        return arrays(model), callback.used

    def resumed(self, folder: Path) -> Arrays:
        """See Training."""
        callback = Rates(rates(self._world))
        model = make_model("float32")
        self._compile(model, 1.0, MOMENTUM)
        self._fit(model, "float32", epochs=STOP_AFTER, callbacks=[callback])
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.write(str(folder / FILE))

        model = make_model("float32", seed=own_seed(self._rank))
        self._compile(model, 1.0, MOMENTUM)
        model.optimizer.build(model.trainable_variables)
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.read(str(folder / FILE)).assert_consumed()
        broadcast_variables(tensorflow_variables(model), root_rank=0)
        self._fit(model, "float32", initial_epoch=STOP_AFTER, epochs=STEPS, callbacks=[callback])
        return arrays(model)

    def shards(self, count: int) -> list[list[int]]:
        """See Trainer. Each rank shuffles all, and takes its part: all have to shuffle alike."""
        tf.keras.utils.set_random_seed(SEED)  # the shuffle's own seed counts beside the global one
        numbers = tf.data.Dataset.range(count).shuffle(count, seed=3)
        mine = numbers.shard(self._horovod.size(), self._horovod.rank())
        return [[int(number) for number in mine] for _ in range(EPOCHS)]


def training(horovod: Any, out: Emitter) -> Distributed:
    """Begin."""
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(1)
    return Distributed(horovod, out)
