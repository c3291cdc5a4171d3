"""Legacy Keras's `fit` on N ranks trains as one rank does on the whole batch.

Most multi-node programs of TensorFlow call it under MultiWorkerMirroredStrategy, where Keras 3's
own no longer trains.
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read when TensorFlow is imported

import tensorflow as tf
from branches import CHANNELS, EPSILON, FEATURES, Arrays, batch_of
from emit import Emitter
from gradients import (
    MOMENTUM,
    SAMPLES_PER_RANK,
    SEED,
    STEPS,
    TOLERANCE,
    hash_of,
    rates,
    relative_error,
    trained_alone,
)
from meeting import meeting
from world_tensorflow import mirrored

ORDER = ("kernel", "bias", "scale", "shift", "first", "first_bias", "second", "second_bias")


def make_model(dtype: str) -> tf.keras.Model:
    """Make the same model on every rank and every call; it adds both heads."""
    tf.keras.backend.set_floatx(dtype)
    tf.keras.utils.set_random_seed(SEED)
    layers = tf.keras.layers
    samples = tf.keras.Input((FEATURES, 1))
    hidden = layers.Conv1D(CHANNELS, 3, padding="same", activation="tanh")(samples)
    hidden = layers.Flatten()(layers.Permute((2, 1))(hidden))
    hidden = layers.LayerNormalization(epsilon=EPSILON)(hidden)
    return tf.keras.Model(samples, layers.Add()([layers.Dense(1)(hidden) for _ in range(2)]))


def arrays(model: tf.keras.Model) -> Arrays:
    """Copy the parameters; branches.py has the kernel's channels first."""
    named = dict(zip(ORDER, model.get_weights(), strict=True))
    return named | {"kernel": named["kernel"][:, 0].T.copy()}


class Rates(tf.keras.callbacks.Callback):
    """Sets the rate of each step, of which an epoch has one."""

    def __init__(self, wanted: list[float]) -> None:
        """Take the rates."""
        super().__init__()
        self._wanted = wanted

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """See Callback."""
        del logs
        self.model.optimizer.learning_rate.assign(self._wanted[epoch])


def train(strategy: tf.distribute.Strategy, world: int, dtype: str) -> Arrays:
    """Fit STEPS epochs, each of one step on the whole batch; the parameters after."""
    batch, target = (array.astype(dtype) for array in batch_of(SAMPLES_PER_RANK * world))
    with strategy.scope():
        model = make_model(dtype)
        model.compile(tf.keras.optimizers.SGD(momentum=MOMENTUM), loss="mse")
    model.fit(
        batch[..., None],
        target[:, None],
        batch_size=len(batch),
        epochs=STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[Rates(rates(world))],
    )
    return arrays(model)


def main() -> None:
    """Run the case."""
    tf.config.experimental.enable_op_determinism()
    with Emitter() as out, mirrored(out) as strategy:
        home = tf.keras.Model.__module__
        out.check("legacy_keras", home.startswith("tf_keras."), f"tf.keras is {home}")

        alone = trained_alone(arrays(make_model("float64")), out.world, rate_in_velocity=True)
        error = relative_error(train(strategy, out.world, "float64"), alone)
        limit = TOLERANCE["float64"]
        detail = f"max relative error {error:.1e} after {STEPS} steps, limit {limit:.0e}"
        out.check("trained_parameters", error <= limit, detail)

        first, second = (hash_of(train(strategy, out.world, "float32")) for _ in range(2))
        distinct = len(set(meeting(out.rank, out.world).gather(first)))
        out.check("equal_parameters", distinct == 1, f"{distinct} distinct on {out.world} ranks")
        out.check("repeatable", first == second, f"{first[:12]} and {second[:12]} in two runs")


if __name__ == "__main__":
    main()
