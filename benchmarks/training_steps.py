"""Samples per second of a small image classifier's training, in a framework: prints one number.

    python benchmarks/training_steps.py torch|tensorflow|jax

Three convolutions, a mean over the image and a linear layer; cross entropy; SGD. The frameworks'
usual ways are compared with themselves elsewhere, not with each other.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable

BATCH = 32
PIXELS = 64
CHANNELS = (3, 32, 64, 64)
CLASSES = 10
RATE = 0.01
WARM_UP = 5
STEPS = 30


def torch_step() -> Callable[[], float]:
    """PyTorch, in eager mode."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(CHANNELS):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], CLASSES)]
    model = nn.Sequential(*layers, *head)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    images = torch.randn(BATCH, CHANNELS[0], PIXELS, PIXELS)
    labels = torch.randint(CLASSES, (BATCH,))

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def tensorflow_step() -> Callable[[], float]:
    """Keras's model in a compiled loop of one's own."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(n, 3, padding="same", activation="relu") for n in CHANNELS[1:]]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([keras.Input((PIXELS, PIXELS, CHANNELS[0])), *layers, *head])
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    images = tf.random.normal((BATCH, PIXELS, PIXELS, CHANNELS[0]))
    labels = tf.random.uniform((BATCH,), maxval=CLASSES, dtype=tf.int32)

    @tf.function
    def together() -> tf.Tensor:
        with tf.GradientTape() as tape:
            found = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=found)
            )
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return lambda: float(together())


def jax_step() -> Callable[[], float]:
    """JAX, compiled as a whole."""
    import jax
    import jax.numpy as jnp

    keys = iter(jax.random.split(jax.random.key(1), len(CHANNELS) + 2))
    kernels = [
        jax.random.normal(next(keys), (3, 3, before, after)) / (3 * before**0.5)
        for before, after in itertools.pairwise(CHANNELS)
    ]
    head = jax.random.normal(next(keys), (CHANNELS[-1], CLASSES)) / CHANNELS[-1] ** 0.5
    images = jax.random.normal(next(keys), (BATCH, PIXELS, PIXELS, CHANNELS[0]))
    labels = jax.random.randint(next(keys), (BATCH,), 0, CLASSES)

    def loss_of(parameters: tuple[list[jax.Array], jax.Array]) -> jax.Array:
        *convolutions, last = *parameters[0], parameters[1]
        hidden = images
        for kernel in convolutions:
            layout = ("NHWC", "HWIO", "NHWC")
            hidden = jax.lax.conv_general_dilated(
                hidden, kernel, (1, 1), "SAME", dimension_numbers=layout
            )
            hidden = jax.nn.relu(hidden)
        chances = jax.nn.log_softmax(hidden.mean((1, 2)) @ last)
        return -chances[jnp.arange(BATCH), labels].mean()

    @jax.jit
    def together(parameters: tuple[list[jax.Array], jax.Array]) -> tuple[jax.Array, object]:
        loss, slopes = jax.value_and_grad(loss_of)(parameters)
        return loss, jax.tree.map(lambda value, slope: value - RATE * slope, parameters, slopes)

    state: object = (kernels, head)

    def step() -> float:
        nonlocal state
        loss, state = together(state)  # type: ignore[arg-type]
        return float(loss)

    return step


STEP = {"torch": torch_step, "tensorflow": tensorflow_step, "jax": jax_step}


def main() -> None:
    """Train, and print how fast."""
    step = STEP[sys.argv[1]]()
    losses = [step() for _ in range(WARM_UP)]
    seconds = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - begun)
    if not losses[-1] < losses[0]:
        sys.exit(f"the loss does not fall: from {losses[0]} to {losses[-1]}")
    print(BATCH / statistics.median(seconds))


if __name__ == "__main__":
    main()
