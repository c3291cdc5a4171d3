"""A training of Keras that stops and resumes; see `resume.Training`."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from resume import DROPOUT, FEATURES, HALVES_EVERY, HIDDEN, MOMENTUM, RATE, batch_of

FILE = "checkpoint"


class Training:
    """A model, its optimizer with its schedule, and dropout's random state."""

    def __init__(self, seed: int) -> None:
        """Build it."""
        keras.utils.set_random_seed(seed)
        self.dropout = keras.layers.Dropout(DROPOUT)
        self.model = keras.Sequential(
            [
                keras.Input((FEATURES,)),
                keras.layers.Dense(HIDDEN, use_bias=False),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                self.dropout,
                keras.layers.Dense(1),
            ]
        )
        schedule = keras.optimizers.schedules.ExponentialDecay(
            RATE, HALVES_EVERY, 0.5, staircase=True
        )
        self.optimizer = keras.optimizers.SGD(schedule, momentum=MOMENTUM)
        self.optimizer.build(self.model.trainable_variables)
        # Of a Keras model TensorFlow's checkpoint leaves out the state of dropout's seeds.
        seeds = self.dropout.seed_generator.state.value
        self._checkpoint = tf.train.Checkpoint(
            model=self.model, optimizer=self.optimizer, seeds=seeds
        )

    def run(self, steps: range) -> list[float]:
        """See Training."""
        used = []
        for step in steps:
            used.append(float(self.optimizer.learning_rate))
            with tf.GradientTape() as tape:
                outputs = self.model(batch_of(step), training=True)
                loss = tf.reduce_mean(outputs**2)
            variables = self.model.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables))
        return used

    def save(self, folder: Path) -> None:
        """See Training."""
        self._checkpoint.write(str(folder / FILE))

    def load(self, folder: Path) -> None:
        """See Training."""
        self._checkpoint.read(str(folder / FILE)).assert_consumed()

    def arrays(self) -> dict[str, np.ndarray]:
        """See Training."""
        named = {variable.path: variable.numpy() for variable in self.model.variables}
        return {name.partition("/")[2]: array for name, array in named.items()}


def start(seed: int) -> Training:
    """Begin with fresh parameters."""
    keras.backend.clear_session()  # or the names of layers would be counted on
    return Training(seed)
