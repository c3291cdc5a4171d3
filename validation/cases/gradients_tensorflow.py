"""The network of branches.py in Keras 3, trained by a loop under MultiWorkerMirroredStrategy.

Keras 3's own `fit` does not train under that strategy; legacy Keras's does: `legacy_fit.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from branches import CHANNELS, EPSILON, FEATURES, Arrays, batch_of
from emit import Emitter
from gradients import EPOCHS, MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, own_seed, rates, share
from world_tensorflow import mirrored

# In the order of Keras's variables: those of a layer after those of the layer before it.
ORDER = ("kernel", "bias", "scale", "shift", "first", "first_bias", "second", "second_bias")


def make_model(dtype: str, channels: int = CHANNELS, seed: int = SEED) -> keras.Model:
    """Make the same model on every call: samples to both heads' outputs."""
    keras.utils.set_random_seed(seed)
    samples = keras.Input((FEATURES, 1), dtype=dtype)
    hidden = keras.layers.Conv1D(channels, 3, padding="same", activation="tanh", dtype=dtype)(
        samples
    )
    # Channels first, as branches.py flattens.
    hidden = keras.layers.Permute((2, 1), dtype=dtype)(hidden)
    hidden = keras.layers.Flatten(dtype=dtype)(hidden)
    hidden = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=dtype)(hidden)
    heads = [keras.layers.Dense(1, name=n, dtype=dtype)(hidden) for n in ("first", "second")]
    return keras.Model(samples, heads)


def arrays(values: list[np.ndarray]) -> Arrays:
    """Name values, one for each variable; branches.py has the kernel's channels first."""
    named = dict(zip(ORDER, values, strict=True))
    return named | {"kernel": named["kernel"][:, 0].T.copy()}


class Mirrored:
    """Training by a strategy; see `gradients.Trainer`."""

    rate_in_velocity = True
    uneven = True

    def __init__(self, out: Emitter, strategy: tf.distribute.Strategy) -> None:
        """Take this rank's shard of the batch."""
        self._rank, self._world = out.rank, out.world
        self._strategy = strategy
        whole = batch_of(SAMPLES_PER_RANK * out.world)
        self._shard = [share(array, out.rank) for array in whole]

    def initial(self, dtype: str, channels: int = CHANNELS) -> Arrays:
        """See Trainer."""
        return arrays(make_model(dtype, channels).get_weights())

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """See Trainer."""
        with self._strategy.scope():
            model = make_model(dtype, channels)
        use_second = self._rank % 2 == 0 if partly else True
        parts = [np.array_split(array.astype(dtype), micro_batches) for array in self._shard]
        variables = [variable.value for variable in model.trainable_variables]

        def mean() -> list[tf.Tensor]:
            total = [tf.zeros_like(variable) for variable in variables]
            for batch, target in zip(*parts, strict=True):
                with tf.GradientTape() as tape:
                    loss = loss_of(model, batch, target, use_second) / micro_batches
                more = tape.gradient(loss, variables, unconnected_gradients="zero")
                total = [before + added for before, added in zip(total, more, strict=True)]
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, total)

        found = tf.function(lambda: self._strategy.run(mean))()
        return arrays([tensor.numpy() for tensor in found])

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """See Trainer: a strategy's variables begin with what the first rank drew."""
        seed = own_seed(self._rank)
        drawn = arrays(make_model("float32", seed=seed).get_weights())
        with self._strategy.scope():
            mirrored = arrays(make_model("float32", seed=seed).get_weights())
        return {"parameters": (drawn, mirrored)}

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer. Keras sums gradients over replicas: the loss is divided by their number."""
        with self._strategy.scope():
            model = make_model(dtype)
            schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
                list(range(STEPS - 1)), rates(self._world)
            )
            optimizer = keras.optimizers.SGD(schedule, momentum=MOMENTUM)
            optimizer.build(model.trainable_variables)
        batch, target = (array.astype(dtype) for array in self._shard)

        def step() -> None:
            with tf.GradientTape() as tape:
                loss = loss_of(model, batch, target, True) / self._world
            optimizer.apply(tape.gradient(loss, model.trainable_variables))

        together = tf.function(lambda: self._strategy.run(step))
        used = []
        for _ in range(STEPS):
            used.append(float(optimizer.learning_rate))
            together()
        return arrays(model.get_weights()), used

    def shards(self, count: int) -> list[list[int]]:
        """See Trainer. Each rank shuffles all, and takes its part: all have to shuffle alike."""
        keras.utils.set_random_seed(SEED)
        options = tf.data.Options()
        policy = tf.data.experimental.AutoShardPolicy.DATA
        options.experimental_distribute.auto_shard_policy = policy
        numbers = tf.data.Dataset.range(count).shuffle(count, seed=3).batch(count // 2)
        each = self._strategy.experimental_distribute_dataset(numbers.with_options(options))
        epochs = []
        for _ in range(EPOCHS):
            mine = (self._strategy.experimental_local_results(batch) for batch in each)
            epochs.append([n for parts in mine for part in parts for n in part.numpy().tolist()])
        return epochs


def loss_of(
    model: keras.Model, batch: np.ndarray, target: np.ndarray, use_second: bool
) -> tf.Tensor:
    """Give the mean squared error of the first head, or of the sum of both."""
    first, second = model(batch[..., None])
    found = tf.squeeze(first + second if use_second else first, axis=1)
    return tf.reduce_mean((found - target) ** 2)


@contextmanager
def trainer(out: Emitter) -> Iterator[Mirrored]:
    """Join all ranks by TensorFlow's own collectives."""
    tf.config.experimental.enable_op_determinism()
    with mirrored(out) as strategy:
        yield Mirrored(out, strategy)
