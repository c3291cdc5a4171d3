"""A network with the layers that most have, written out in NumPy: forward, loss and gradient.

Convolution, batch norm by the batch's own statistics, ReLU, 2 x 2 pooling, attention, layer norm,
tanh and softmax cross-entropy. The reference of `parity.py`, in float64.
"""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]

SAMPLES, PIXELS, COLOURS, FILTERS = 6, 8, 3, 5
TOKENS = (PIXELS // 2) ** 2
CLASSES = 4
EPSILON = 1e-5
SHAPES = {
    "kernel": (FILTERS, COLOURS, 3, 3),
    "batch_scale": (FILTERS,),
    "batch_shift": (FILTERS,),
    "query": (FILTERS, FILTERS),
    "key": (FILTERS, FILTERS),
    "value": (FILTERS, FILTERS),
    "layer_scale": (FILTERS,),
    "layer_shift": (FILTERS,),
    "dense": (TOKENS * FILTERS, CLASSES),
    "dense_bias": (CLASSES,),
}


def parameters() -> Arrays:
    """Draw the weights that every framework is given."""
    rng = np.random.default_rng(5)
    return {name: rng.normal(scale=0.4, size=shape) for name, shape in SHAPES.items()}


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Draw images (SAMPLES, COLOURS, PIXELS, PIXELS) and classes (SAMPLES,)."""
    rng = np.random.default_rng(6)
    images = rng.normal(size=(SAMPLES, COLOURS, PIXELS, PIXELS))
    return images, rng.integers(CLASSES, size=SAMPLES)


def windows(images: np.ndarray) -> np.ndarray:
    """Give the 3 x 3 pixels around each one, zeros beyond the edges: (n, colours, y, x, 3, 3)."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))


def normalised(array: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Give what has mean 0 and variance 1 over axes, and the inverse of the deviation."""
    centred = array - array.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + EPSILON)
    return centred * inverse, inverse


def through_norm(
    up: np.ndarray, normal: np.ndarray, inverse: np.ndarray, axes: tuple[int, ...]
) -> np.ndarray:
    """Carry a gradient back through `normalised`."""
    mean = up.mean(axis=axes, keepdims=True)
    along = normal * (up * normal).mean(axis=axes, keepdims=True)
    return inverse * (up - mean - along)


def softmax(array: np.ndarray) -> np.ndarray:
    """Give probabilities along the last axis."""
    raised = np.exp(array - array.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def loss_and_gradient(p: Arrays, images: np.ndarray, classes: np.ndarray) -> tuple[Arrays, Arrays]:
    """Give the logits and the loss, and the gradient of the loss by each parameter."""
    count, space, half = len(images), (0, 2, 3), PIXELS // 2
    seen = windows(images)
    convolved = np.einsum("ncyxij,fcij->nfyx", seen, p["kernel"])
    batch_normal, batch_inverse = normalised(convolved, space)
    scaled = batch_normal * _channels(p["batch_scale"]) + _channels(p["batch_shift"])
    positive = np.maximum(scaled, 0)
    blocks = positive.reshape(count, FILTERS, half, 2, half, 2).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(count, FILTERS, TOKENS, 4)
    tokens = blocks.max(axis=-1).transpose(0, 2, 1)

    query, key, value = (tokens @ p[name] for name in ("query", "key", "value"))
    root = np.sqrt(FILTERS)
    weights = softmax(query @ key.transpose(0, 2, 1) / root)
    attended = tokens + weights @ value
    layer_normal, layer_inverse = normalised(attended, (2,))
    hidden = layer_normal * p["layer_scale"] + p["layer_shift"]
    flat = np.tanh(hidden).reshape(count, -1)
    logits = flat @ p["dense"] + p["dense_bias"]
    chances = softmax(logits)
    loss = -np.log(chances[np.arange(count), classes]).mean()

    up = (chances - np.eye(CLASSES)[classes]) / count
    found = {"dense": flat.T @ up, "dense_bias": up.sum(axis=0)}
    up = (up @ p["dense"].T * (1 - flat**2)).reshape(hidden.shape)
    found |= {"layer_scale": (up * layer_normal).sum((0, 1)), "layer_shift": up.sum((0, 1))}
    up = through_norm(up * p["layer_scale"], layer_normal, layer_inverse, (2,))
    of_weights = up @ value.transpose(0, 2, 1)
    of_scores = weights * (of_weights - (of_weights * weights).sum(axis=-1, keepdims=True)) / root
    ups = {
        "query": of_scores @ key,
        "key": of_scores.transpose(0, 2, 1) @ query,
        "value": weights.transpose(0, 2, 1) @ up,
    }
    found |= {name: np.einsum("nti,ntj->ij", tokens, each) for name, each in ups.items()}
    up = up + sum(each @ p[name].T for name, each in ups.items())
    largest = np.eye(4)[blocks.argmax(axis=-1)] * up.transpose(0, 2, 1)[..., None]
    largest = largest.reshape(count, FILTERS, half, half, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    up = largest.reshape(positive.shape) * (scaled > 0)
    found |= {"batch_scale": (up * batch_normal).sum(space), "batch_shift": up.sum(space)}
    up = through_norm(up * _channels(p["batch_scale"]), batch_normal, batch_inverse, space)
    found["kernel"] = np.einsum("nfyx,ncyxij->fcij", up, seen)
    return {"logits": logits, "loss": np.array(loss)}, found


def _channels(array: np.ndarray) -> np.ndarray:
    return array[:, None, None]
