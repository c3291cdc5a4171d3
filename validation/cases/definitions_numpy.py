"""Operations of networks, written out in NumPy: the truth of `definitions.py`.

No matrix product here goes through a BLAS. Images are (samples, *sides, channels), kernels (*sides,
channels, filters), attention's operands (samples, tokens, heads, features).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

EPSILON, MOMENTUM = 1e-5, 0.9
GROUPS = 5
RATE, DECAY, BETAS, RMS_DECAY = 1e-2, 0.1, (0.9, 0.999), 0.9
STEPS = 3
SMOOTHING = 0.1
# Kernel, stride and dilation, always padded to the same size: ResNet's, AlexNet's and DeepLab's.
CONVOLUTIONS = ((3, 1, 1), (1, 1, 1), (1, 2, 1), (3, 2, 1), (11, 4, 1), (3, 1, 2))
CHANNELS, FILTERS = 18, 21


class Operation(NamedTuple):
    """What is computed of which arrays; integers among them have no gradient.

    Args:
        check: that it is a part of.
        bfloat16: products are asked for in bfloat16.
        smooth: it has a gradient.
    """

    check: str
    operands: tuple[np.ndarray, ...]
    define: Callable[..., np.ndarray]
    bfloat16: bool = False
    smooth: bool = True


def convolution(kernel: int, stride: int, dilation: int) -> str:
    """Name one of CONVOLUTIONS."""
    return f"conv2d of {kernel} x {kernel}, stride {stride}, dilation {dilation}"


def windows(
    x: np.ndarray, kernel: Sequence[int], stride: int, dilation: int
) -> tuple[np.ndarray, str, str]:
    """Give what a kernel sees at each place, and einsum's letters for places and kernel."""
    sides = tuple(range(1, x.ndim - 1))
    reach = [(side - 1) * dilation + 1 for side in kernel]
    pads = [
        max((-(-x.shape[axis] // stride) - 1) * stride + wide - x.shape[axis], 0)
        for axis, wide in zip(sides, reach, strict=True)
    ]
    padded = np.pad(x, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)])
    seen = sliding_window_view(padded, reach, axis=sides)
    steps = (slice(None), *(slice(None, None, stride),) * len(sides), slice(None))
    return (
        seen[(*steps, *(slice(None, None, dilation),) * len(sides))],
        "xyz"[: len(sides)],
        "ijk"[: len(sides)],
    )


def convolved(x: np.ndarray, w: np.ndarray, stride: int = 1, dilation: int = 1) -> np.ndarray:
    """Convolve images of any number of sides."""
    seen, places, kernel = windows(x, w.shape[:-2], stride, dilation)
    return np.einsum(f"n{places}c{kernel},{kernel}cf->n{places}f", seen, w)


def depthwise(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Convolve each channel by itself, with stride 2."""
    seen, places, kernel = windows(x, w.shape[:-1], 2, 1)
    return np.einsum(f"n{places}c{kernel},{kernel}c->n{places}c", seen, w)


def transposed(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Give twice the sides: what stride 2 saw is seen from the other end; w is (*, filters, c)."""
    count, high, wide, _ = x.shape
    before = (w.shape[0] - 2) // 2
    out = np.zeros((count, 2 * high + w.shape[0], 2 * wide + w.shape[1], w.shape[2]))
    for i, j in product(*map(range, w.shape[:2])):
        part = np.einsum("nhwc,fc->nhwf", x, w[i, j])
        out[:, i : i + 2 * high : 2, j : j + 2 * wide : 2] += part
    return out[:, before : before + 2 * high, before : before + 2 * wide]


def blocks(x: np.ndarray) -> np.ndarray:
    """Cut images into squares of 2 x 2, without what is left over."""
    count, high, wide, channels = x.shape
    whole = x[:, : high // 2 * 2, : wide // 2 * 2]
    return whole.reshape(count, high // 2, 2, wide // 2, 2, channels)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Give probabilities along an axis."""
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Attend: Vaswani et al. 2017 (arXiv:1706.03762), eq. 1."""
    scores = np.einsum("nqhf,nkhf->nhqk", query, key) / math.sqrt(query.shape[-1])
    weights = softmax(np.where(mask, scores, -np.inf))
    return np.einsum("nhqk,nkhf->nqhf", weights, value)


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Give what has mean 0 and variance 1 over axes."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + EPSILON)


def group_norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Normalise groups of neighbouring channels."""
    groups = x.reshape(*x.shape[:-1], GROUPS, -1)
    return normalised(groups, (1, 2, 4)).reshape(x.shape) * scale + shift


def kept(x: np.ndarray) -> np.ndarray:
    """What a batch norm keeps of its first batch: mean and variance, one after the other."""
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return np.concatenate([(1 - MOMENTUM) * mean, MOMENTUM + (1 - MOMENTUM) * variance])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Without an overflow."""
    return np.exp(-np.logaddexp(0, -x))


def lstm(x: np.ndarray, w: np.ndarray, u: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Run an LSTM with gates in Keras's order: input, forget, new, output. Gives all outputs."""
    hidden = cell = np.zeros((len(x), len(u)))
    outputs = []
    for time in range(x.shape[1]):
        gates = np.einsum("nf,fg->ng", x[:, time], w) + np.einsum("nh,hg->ng", hidden, u) + b
        i, f, new, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(new)
        hidden = sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def gelu(x: np.ndarray) -> np.ndarray:
    """Hendrycks and Gimpel 2016 (arXiv:1606.08415)."""
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def gelu_by_tanh(x: np.ndarray) -> np.ndarray:
    """Of the same, section 2."""
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def cross_entropy(logits: np.ndarray, classes: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Give each row's, of labels that are smoothed."""
    logs = np.log(softmax(logits))
    right = np.take_along_axis(logs, classes[:, None], 1)[:, 0]
    return -(1 - smoothing) * right - smoothing * logs.mean(axis=1)


def huber(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Square where near, straight beyond one; the mean."""
    off = np.abs(x - y)
    return np.asarray(np.where(off < 1, off**2 / 2, off - 0.5).mean())


def sgd(p: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Step with Nesterov's momentum, as Sutskever et al. 2013 has it."""
    momentum = np.zeros_like(p)
    for g in gradients:
        momentum = BETAS[0] * momentum + g
        p = p - RATE * (g + BETAS[0] * momentum)
    return p


def adam(p: np.ndarray, gradients: np.ndarray, decay: float = 0.0) -> np.ndarray:
    """Kingma and Ba 2014 (arXiv:1412.6980), algorithm 1; decay: arXiv:1711.05101, algorithm 2."""
    mean = square = np.zeros_like(p)
    for step, g in enumerate(gradients, 1):
        mean = BETAS[0] * mean + (1 - BETAS[0]) * g
        square = BETAS[1] * square + (1 - BETAS[1]) * g**2
        root = np.sqrt(square / (1 - BETAS[1] ** step))
        p = p - RATE * (mean / (1 - BETAS[0] ** step) / root + decay * p)
    return p


def rmsprop(p: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Tieleman and Hinton 2012, lecture 6.5."""
    square = np.zeros_like(p)
    for g in gradients:
        square = RMS_DECAY * square + (1 - RMS_DECAY) * g**2
        p = p - RATE * g / np.sqrt(square)
    return p


def clipped(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Scale two gradients so that both together have the norm 1, if they have more."""
    both = np.concatenate([x, y])
    return both / max(1.0, math.sqrt(float((both**2).sum())))


def halves(x: np.ndarray) -> np.ndarray:
    """Round to float16, to the nearest and of two to the even one, and show the bits."""
    return x.astype(np.float16).view(np.int16)


def brains(x: np.ndarray) -> np.ndarray:
    """Round to bfloat16 alike, and show the bits."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).view(np.int16)


def operations() -> dict[str, Operation]:
    """Draw the operands of every operation."""
    rng = np.random.default_rng(1)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return rng.normal(scale=scale, size=shape)

    image, odd = normal(2, 19, 23, CHANNELS), normal(2, 17, 19, 15, scale=2) + 1
    rows, wide = normal(67, 259), normal(31, 1003, scale=3)
    ranked = (
        rng.permutation(67 * 259).reshape(67, 259) / 1000
    )  # no two so near that a step swaps them
    heads = tuple(normal(2, 37, 3, 24) for _ in range(3))
    causal = np.tril(np.ones((37, 37), bool))[None, None]
    some = (rng.random((2, 1, 37, 37)) > 0.4) | np.eye(37, dtype=bool)
    affine = (normal(15), normal(15))
    line = np.linspace(-8, 8, 1003)
    classes = rng.integers(0, 1003, 31)
    yes = (rng.random(1003) > 0.3).astype(int)
    places = rng.integers(0, 67, 1003)
    stepped = (normal(1003), normal(STEPS, 1003))
    ties = np.arange(0x3F800000, 0x3F900000, 0x800, dtype=np.uint32).view(np.float32)
    numbers = np.concatenate([normal(1003), ties, -ties, normal(1003, scale=1e-6)])
    dense = (rows, normal(259, 131), normal(131))

    def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.einsum("nf,fg->ng", x, w) + b

    def added(x: np.ndarray, where: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = x.copy()
        np.add.at(out, where, values)
        return out

    found = {
        "linear": Operation("linear", dense, linear),
        "linear in bfloat16": Operation("half_precision", dense, linear, bfloat16=True),
        "mixed precision": Operation("half_precision", dense, linear, bfloat16=True),
        "to float16": Operation("half_precision", (numbers,), halves),
        "to bfloat16": Operation("half_precision", (numbers,), brains),
        "conv1d": Operation(
            "convolutions",
            (normal(3, 131, CHANNELS), normal(3, CHANNELS, FILTERS)),
            lambda x, w: convolved(x, w, stride=2),
        ),
        "conv3d": Operation(
            "convolutions",
            (normal(2, 7, 9, 8, 6), normal(3, 3, 3, 6, 11)),
            lambda x, w: convolved(x, w, stride=2),
        ),
        "depthwise": Operation("convolutions", (image, normal(3, 3, CHANNELS)), depthwise),
        "transposed": Operation(
            "convolutions",
            (normal(2, 9, 11, CHANNELS), normal(4, 4, FILTERS, CHANNELS)),
            transposed,
        ),
        "max pool": Operation("pooling", (odd,), lambda x: blocks(x).max(axis=(2, 4))),
        "average pool": Operation("pooling", (odd,), lambda x: blocks(x).mean(axis=(2, 4))),
        "attention": Operation("attention", heads, lambda *x: attention(*x, np.array(True))),
        "causal attention": Operation("attention", heads, lambda *x: attention(*x, causal)),
        "masked attention": Operation("attention", (*heads, some), attention),
        "batch norm": Operation(
            "norms", (odd, *affine), lambda x, a, b: normalised(x, (0, 1, 2)) * a + b
        ),
        "batch norm, kept": Operation("norms", (odd,), kept, smooth=False),
        "layer norm": Operation(
            "norms",
            (rows, normal(259), normal(259)),
            lambda x, a, b: normalised(x, (-1,)) * a + b,
        ),
        "group norm": Operation("norms", (odd, *affine), group_norm),
        "lstm": Operation(
            "recurrent", (normal(5, 7, 37), *(normal(n, 164) for n in (37, 41)), normal(164)), lstm
        ),
        "sigmoid": Operation("activations", (line,), sigmoid),
        "tanh": Operation("activations", (line,), np.tanh),
        "silu": Operation("activations", (line,), lambda x: x * sigmoid(x)),
        "softplus": Operation("activations", (line,), lambda x: np.logaddexp(0, x)),
        "elu": Operation("activations", (line,), lambda x: np.where(x > 0, x, np.expm1(x))),
        "gelu": Operation("activations", (line,), gelu),
        "gelu by tanh": Operation("activations", (line,), gelu_by_tanh),
        "softmax over rows": Operation("activations", (wide,), lambda x: softmax(x, 0)),
        "softmax": Operation("activations", (wide,), softmax),
        "softmax of large numbers": Operation("activations", (wide + 300,), softmax),
        "log softmax": Operation("activations", (wide,), lambda x: np.log(softmax(x))),
        "cross entropy": Operation("losses", (wide, classes), cross_entropy),
        "smoothed cross entropy": Operation(
            "losses", (wide, classes), lambda x, y: cross_entropy(x, y, SMOOTHING)
        ),
        "binary cross entropy": Operation(
            "losses", (normal(1003, scale=3), yes), lambda x, y: np.logaddexp(0, x) - x * y
        ),
        "huber": Operation("losses", (normal(1003), normal(1003)), huber),
        "SGD": Operation("optimizers", stepped, sgd, smooth=False),
        "Adam": Operation("optimizers", stepped, adam, smooth=False),
        "AdamW": Operation("optimizers", stepped, lambda p, g: adam(p, g, DECAY), smooth=False),
        "RMSprop": Operation("optimizers", stepped, rmsprop, smooth=False),
        "clipped by the global norm": Operation("optimizers", (normal(7), normal(1003)), clipped),
        "sort": Operation("indexing", (ranked,), lambda x: np.sort(x, axis=1)),
        "argsort": Operation("indexing", (ranked,), lambda x: np.argsort(x, axis=1)),
        "top k": Operation("indexing", (ranked,), lambda x: -np.sort(-x, axis=1)[:, :9]),
        "argmax": Operation("indexing", (ranked,), lambda x: x.argmax(axis=1)),
        "unique": Operation("indexing", (places,), np.unique),
        "cumulative sum": Operation("indexing", (rows,), lambda x: x.cumsum(axis=1)),
        "sum over rows": Operation("indexing", (rows,), lambda x: x.sum(axis=0)),
        "embedding": Operation("indexing", (rows, places), lambda x, where: x[where]),
        "scattered sum": Operation("indexing", (rows, places, normal(1003, 259)), added),
        "segment sum": Operation(
            "indexing",
            (normal(1003, 259), places),
            lambda x, where: added(np.zeros((67, 259)), where, x),
        ),
        "einsum": Operation(
            "indexing",
            (normal(7, 11, 13), normal(7, 13, 17)),
            lambda x, y: np.einsum("bij,bjk->bik", x, y),
        ),
    }
    for kernel, stride, dilation in CONVOLUTIONS:
        found[convolution(kernel, stride, dilation)] = Operation(
            "convolutions",
            (image, normal(kernel, kernel, CHANNELS, FILTERS)),
            lambda x, w, stride=stride, dilation=dilation: convolved(x, w, stride, dilation),
        )
    return found
