"""The networks of NERSC's PyTorch benchmarks in Keras, on noise in the shapes of their data.

Networks, sizes, batches and optimizers are those of nersc_networks.py, with the channels last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LEAK = 0.2

Losses = list[tuple[tf.Tensor, list[Any]]]


class Noise:
    """Random inputs, and a random class for each, or for each of its tokens."""

    def __init__(
        self, network: Callable[[], keras.Model], shape: tuple[int, ...], classes: int, tokens: bool
    ) -> None:
        """Build the network.

        Args:
            network: builds what is trained.
            shape: of a sample's input.
            classes: how many there are.
            tokens: inputs are numbers of tokens.
        """
        self._network, self._shape, self._classes = network(), shape, classes
        self._tokens = tokens

    def samples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        """Draw inputs and labels."""
        shape = (count, *self._shape)
        if self._tokens:
            return tuple(rng.integers(self._classes, size=(2, *shape)))
        return rng.standard_normal(shape, np.float32), rng.integers(self._classes, size=count)

    def losses(self, inputs: tf.Tensor, labels: tf.Tensor) -> Losses:
        """Give the mean cross-entropy, and what it trains."""
        logits = self._network(inputs, training=True)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return [(tf.reduce_mean(each), self._network.trainable_variables)]


def classifier(shape: tuple[int, ...], classes: int, build: Callable[[], Sequence[Any]]) -> Any:
    """Give what draws noise of a shape for a chain of layers."""
    return lambda: Noise(
        lambda: keras.Sequential([keras.Input(shape), *build()]), shape, classes, tokens=False
    )


def alexnet(dense: int, pixels: int) -> list[Any]:
    """Krizhevsky 2014 (arXiv:1404.5997), as in torchvision; `dense` is 4096 there."""
    relu = {"padding": "same", "activation": "relu"}
    side = ((((pixels - 7) // 4 + 1 - 1) // 2 - 1) // 2 - 1) // 2
    return [
        *(layers.ZeroPadding2D(2), layers.Conv2D(64, 11, 4, activation="relu")),
        *(layers.MaxPooling2D(3, 2), layers.Conv2D(192, 5, **relu), layers.MaxPooling2D(3, 2)),
        *(layers.Conv2D(384, 3, **relu), layers.Conv2D(256, 3, **relu)),
        *(layers.Conv2D(256, 3, **relu), layers.MaxPooling2D(3, 2)),
        *(layers.UpSampling2D(6 // side), layers.Flatten()),
        *(layers.Dropout(0.5), layers.Dense(dense, activation="relu")),
        *(layers.Dropout(0.5), layers.Dense(dense, activation="relu")),
        layers.Dense(1000),
    ]


def cnn3d() -> list[Any]:
    """Build four 3-D convolutions, each with pooling, and two dense layers; for 32^3 cells."""
    blocks = [
        layer
        for filters in (16, 32, 64, 128)
        for layer in (
            layers.Conv3D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling3D(2),
        )
    ]
    return [*blocks, layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(4)]


def lstm(features: int) -> list[Any]:
    """One LSTM, as wide as its inputs, and a dense layer after its last step."""
    return [layers.LSTM(features), layers.Dense(4)]


def resnet50(pixels: int) -> Any:
    """Give what draws noise for Keras's own ResNet-50."""
    shape = (pixels, pixels, 3)
    build = partial(
        keras.applications.ResNet50,
        weights=None,
        input_shape=shape,
        classes=1000,
        classifier_activation=None,
    )
    return lambda: Noise(build, shape, 1000, tokens=False)


class Places(layers.Layer):
    """Scales embeddings, and adds sines and cosines of each place: Vaswani et al. 2017, 3.5."""

    def call(self, seen: tf.Tensor) -> tf.Tensor:
        """See Layer."""
        tokens, features = seen.shape[1:]
        rates = np.exp(np.arange(0, features, 2) * (-math.log(10_000) / features))
        angles = np.arange(tokens)[:, None] * rates
        places = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(tokens, features)
        return seen * math.sqrt(features) + places.astype(np.float32)


def transformer(vocabulary: int, tokens: int, features: int, depth: int) -> keras.Model:
    """Encoder layers that look back only; hidden layers as wide as the features, heads eight."""
    small = keras.initializers.RandomUniform(-0.1, 0.1)
    words = keras.Input((tokens,), dtype="int64")
    hidden = layers.Embedding(vocabulary, features, embeddings_initializer=small)(words)
    hidden = layers.Dropout(0.5)(Places()(hidden))
    for _ in range(depth):
        attention = layers.MultiHeadAttention(8, features // 8, dropout=0.5)
        seen = layers.Dropout(0.5)(attention(hidden, hidden, use_causal_mask=True))
        hidden = layers.LayerNormalization(epsilon=1e-5)(hidden + seen)
        wide = layers.Dropout(0.5)(layers.Dense(features, activation="relu")(hidden))
        seen = layers.Dropout(0.5)(layers.Dense(features)(wide))
        hidden = layers.LayerNormalization(epsilon=1e-5)(hidden + seen)
    return keras.Model(words, layers.Dense(vocabulary, kernel_initializer=small)(hidden))


class Dcgan:
    """Radford et al. 2015 (arXiv:1511.06434): five convolutions each, for 64 x 64 x 3 pixels."""

    def __init__(self, noise: int, filters: int) -> None:
        """Build both players."""
        self._noise = noise
        own = {"use_bias": False}
        made: list[Any] = [keras.Input((noise,)), layers.Reshape((1, 1, noise))]
        made.append(layers.Conv2DTranspose(8 * filters, 4, 1, "valid", **own))
        for width in (4 * filters, 2 * filters, filters, 3):
            made += [layers.BatchNormalization(), layers.ReLU()]
            made.append(layers.Conv2DTranspose(width, 4, 2, "same", **own))
        seen: list[Any] = [keras.Input((64, 64, 3))]
        seen += [layers.Conv2D(filters, 4, 2, "same", **own), layers.LeakyReLU(LEAK)]
        for width in (2 * filters, 4 * filters, 8 * filters):
            seen.append(layers.Conv2D(width, 4, 2, "same", **own))
            seen += [layers.BatchNormalization(), layers.LeakyReLU(LEAK)]
        seen += [layers.Conv2D(1, 4, 1, "valid", **own)]
        self._generator = keras.Sequential([*made, layers.Activation("sigmoid")])
        self._critic = keras.Sequential(seen)

    def samples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        """Draw pictures in [0, 1], and noise."""
        pictures = rng.random((count, 64, 64, 3), np.float32)
        return pictures, rng.standard_normal((count, self._noise), np.float32)

    def losses(self, pictures: tf.Tensor, noise: tf.Tensor) -> Losses:
        """Give the losses of both players, each with what it moves; the critic's first."""
        fake = self._generator(noise, training=True)
        real = told(self._critic(pictures, training=True), 1.0)
        critics = (real + told(self._critic(tf.stop_gradient(fake), training=True), 0.0)) / 2
        fooled = told(self._critic(fake, training=True), 1.0)
        return [
            (critics, self._critic.trainable_variables),
            (fooled, self._generator.trainable_variables),
        ]


def told(logits: tf.Tensor, truth: float) -> tf.Tensor:
    """Give the cross-entropy of calling everything what it is."""
    each = tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), truth), logits)
    return tf.reduce_mean(each)


class Task(NamedTuple):
    """What is trained, at which rate by Adam, and how many samples a step has."""

    model: Callable[[], Any]
    rate: float
    samples: int


def words(vocabulary: int, tokens: int, features: int) -> Any:
    """Give what draws words for the transformer."""
    network = partial(transformer, vocabulary, tokens, features, 4)
    return lambda: Noise(network, (tokens,), vocabulary, tokens=True)


CUBES = classifier((32, 32, 32, 1), 4, cnn3d)

NETWORKS = {
    "small": {
        "alexnet": Task(classifier((64, 64, 3), 1000, partial(alexnet, 512, 64)), 0.001, 16),
        "resnet50": Task(resnet50(64), 0.001, 4),
        "cnn3d": Task(CUBES, 0.001, 8),
        "lstm": Task(classifier((50, 128), 4, partial(lstm, 128)), 0.001, 16),
        "transformer": Task(words(1024, 64, 128), 0.01, 8),
        "dcgan": Task(partial(Dcgan, 64, 16), 0.0002, 16),
    },
    "full": {
        "alexnet": Task(classifier((224, 224, 3), 1000, partial(alexnet, 4096, 224)), 0.001, 128),
        "resnet50": Task(resnet50(224), 0.001, 128),
        "cnn3d": Task(CUBES, 0.001, 64),
        "lstm": Task(classifier((50, 500), 4, partial(lstm, 500)), 0.001, 64),
        "transformer": Task(words(1024, 512, 512), 0.01, 32),
        "dcgan": Task(partial(Dcgan, 64, 16), 0.0002, 128),
    },
}
