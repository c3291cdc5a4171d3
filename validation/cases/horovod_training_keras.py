"""The network of branches.py in Keras, 3 or legacy, trained by `fit` with Horovod's optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from branches import CHANNELS, EPSILON, FEATURES, Arrays, batch_of, shapes
from emit import Emitter
from gradients import EPOCHS, MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, own_seed, rates, share
from horovod.tensorflow import DistributedGradientTape, broadcast_variables
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


def mean_of_squares(target: Any, found: Any) -> Any:
    """Give the mean squared error."""
    return tf.reduce_mean((found - target) ** 2)


class Distributed:
    """See `horovod_training.Training`."""

    # Keras's has, but Horovod's callback corrects the momentum where it sets another rate.
    rate_in_velocity = False
    uneven = True

    def __init__(self, horovod: Any, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._horovod = horovod
        self._rank = out.rank
        whole = batch_of(SAMPLES_PER_RANK * out.world)
        self._shard = [share(array, out.rank) for array in whole]
        self._rates = rates(out.world)

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

    def _samples(self, dtype: str, use_second: bool = True) -> tuple[list[Any], Any]:
        """Give what the model takes, and what it is to find."""
        batch, target = (array.astype(dtype) for array in self._shard)
        uses = np.full((SAMPLES_PER_RANK, 1), use_second, dtype)
        return [batch[..., None], uses], target[:, None]

    def _fit(
        self, model: Any, dtype: str, batches: int = 1, use_second: bool = True, **options: Any
    ) -> dict[str, list[float]]:
        """Train by batches that are not shuffled, and give the history."""
        size = SAMPLES_PER_RANK // batches
        told = {"batch_size": size, "shuffle": False, "verbose": 0, **options}
        done = model.fit(*self._samples(dtype, use_second), **told)
        return dict(done.history)

    def _steps(self, model: Any, dtype: str, steps: range) -> list[float]:
        """Take steps, an epoch each, and give their rates."""
        callback = self._horovod.callbacks.LearningRateScheduleCallback(
            initial_lr=1.0, multiplier=self._rates.__getitem__
        )
        return self._fit(
            model, dtype, initial_epoch=steps.start, epochs=steps.stop, callbacks=[callback]
        )["lr"]

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

    def tape_gradient(self) -> Arrays:
        """See KerasTraining."""
        model = make_model("float64")
        optimizer = tf.keras.optimizers.SGD(1.0)
        before = arrays(model)
        samples, target = self._samples("float64")
        with tf.GradientTape() as tape:
            loss = mean_of_squares(target, model(samples))
        slopes = DistributedGradientTape(tape).gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(slopes, model.trainable_variables, strict=True))
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
        used = self._steps(model, dtype, range(STEPS))
        return arrays(model), used

    def resumed(self, folder: Path) -> Arrays:
        """See Training."""
        model = self._stopped()
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.write(str(folder / FILE))

        model = make_model("float32", seed=own_seed(self._rank))
        self._compile(model, 1.0, MOMENTUM)
        model.optimizer.build(model.trainable_variables)
        if self._rank == 0:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
            checkpoint.read(str(folder / FILE)).assert_consumed()
        # Legacy Keras doesn't count the rate among its optimizer's variables.
        rate = model.optimizer.learning_rate
        for variables in (model.variables, model.optimizer.variables, [rate]):
            broadcast_variables(variables, root_rank=0)
        self._steps(model, "float32", range(STOP_AFTER, STEPS))
        return arrays(model)

    def loaded(self, folder: Path) -> Arrays:
        """See KerasTraining. Each rank reads what it has written itself."""
        file = folder / f"rank-{self._rank}.keras"
        self._stopped().save(file)
        model = self._load(file)
        self._steps(model, "float32", range(STOP_AFTER, STEPS))
        return arrays(model)

    def loaded_plain(self, folder: Path) -> Arrays:
        """See KerasTraining."""
        file = folder / f"plain-rank-{self._rank}.keras"
        model = make_model("float32")
        model.compile(tf.keras.optimizers.SGD(1.0, momentum=MOMENTUM), loss=mean_of_squares)
        model.save(file)
        model = self._load(file)
        self._steps(model, "float32", range(STEPS))
        return arrays(model)

    def state(self) -> tuple[list[Any], list[Any]]:
        """See KerasTraining."""
        model = make_model("float32")
        plain = tf.keras.optimizers.SGD(1.0, momentum=MOMENTUM)
        model.compile(plain, loss=mean_of_squares)
        self._fit(model, "float32")
        held = [np.array(variable) for variable in plain.variables]
        optimizer = self._horovod.DistributedOptimizer(plain)
        return held, [np.array(variable) for variable in optimizer.variables]

    def decayed(self) -> list[float]:
        """See KerasTraining."""
        variable = tf.Variable if LEGACY else tf.keras.Variable
        ones = [variable(1.0, name=name) for name in ("excluded", "other")]
        plain = tf.keras.optimizers.SGD(0.5, weight_decay=0.5)
        plain.exclude_from_weight_decay(var_names=["excluded"])
        optimizer = self._horovod.DistributedOptimizer(plain)
        optimizer.apply_gradients([(tf.zeros(()), one) for one in ones])
        return [float(one) for one in ones]

    def overflowed(self, steps: int) -> list[Arrays]:
        """See KerasTraining. An infinite target makes the gradient so."""
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        model = make_model("float32")
        tf.keras.mixed_precision.set_global_policy("float32")
        self._compile(model, 0.01, 0.0)
        samples, target = self._samples("float32")
        found = []
        too_much = np.full_like(target, np.inf) if self._rank == 0 else target
        for targets, epochs in ((target, steps), (too_much, 1), (target, steps)):
            model.fit(samples, targets, SAMPLES_PER_RANK, epochs, verbose=0, shuffle=False)
            found.append(arrays(model))
        return found

    def _load(self, file: Path) -> Any:
        return self._horovod.load_model(
            file, custom_objects={mean_of_squares.__name__: mean_of_squares}
        )

    def _stopped(self) -> Any:
        """Give a model that was trained until STOP_AFTER."""
        model = make_model("float32")
        self._compile(model, 1.0, MOMENTUM)
        self._steps(model, "float32", range(STOP_AFTER))
        return model

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
