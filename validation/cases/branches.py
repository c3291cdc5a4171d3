"""A small network with every kind of layer that frameworks reduce apart, written out in NumPy.

A convolution along 16 features, tanh, a layer norm, and two linear heads, of which a sample may use
the first alone; forward and gradient, in float64. No framework computes its own reference.
"""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]

FEATURES = 16
CHANNELS = 8
TAPS = 3
EPSILON = 1e-5
HIDDEN = CHANNELS * FEATURES
SHAPES = {
    "kernel": (CHANNELS, TAPS),
    "bias": (CHANNELS,),
    "scale": (HIDDEN,),
    "shift": (HIDDEN,),
    "first": (HIDDEN,),
    "first_bias": (1,),
    "second": (HIDDEN,),
    "second_bias": (1,),
}


def batch_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the whole batch: samples (count, FEATURES), and targets (count,)."""
    rng = np.random.default_rng(11)
    return rng.normal(size=(count, FEATURES)), rng.normal(size=count)


def gradient(p: Arrays, batch: np.ndarray, target: np.ndarray, second: np.ndarray) -> Arrays:
    """Give the gradient of the mean squared error.

    Args:
        second: for each sample 1.0 if it uses the second head, else 0.0.
    """
    count = len(batch)
    padded = np.pad(batch, ((0, 0), (1, 1)))
    windows = np.stack([padded[:, k : k + FEATURES] for k in range(TAPS)], axis=-1)
    convolved = np.einsum("nfk,ck->ncf", windows, p["kernel"]) + p["bias"][:, None]
    squashed = np.tanh(convolved)
    flat = squashed.reshape(count, HIDDEN)
    centred = flat - flat.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
    normal = centred * inverse
    hidden = normal * p["scale"] + p["shift"]
    found = hidden @ p["first"] + p["first_bias"]
    found = found + second * (hidden @ p["second"] + p["second_bias"])

    error = 2 * (found - target) / count
    errors = {"first": error, "second": error * second}
    up = np.outer(errors["first"], p["first"]) + np.outer(errors["second"], p["second"])
    through = up * p["scale"]
    shared = through.mean(axis=1, keepdims=True)
    along = normal * (through * normal).mean(axis=1, keepdims=True)
    down = (inverse * (through - shared - along)).reshape(squashed.shape) * (1 - squashed**2)
    return {
        "kernel": np.einsum("ncf,nfk->ck", down, windows),
        "bias": down.sum(axis=(0, 2)),
        "scale": (up * normal).sum(axis=0),
        "shift": up.sum(axis=0),
        **{head: errors[head] @ hidden for head in errors},
        **{f"{head}_bias": errors[head].sum(keepdims=True) for head in errors},
    }
