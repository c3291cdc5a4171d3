"""The operations of definitions_numpy.py, by JAX, Flax and Optax, compiled."""

from __future__ import annotations

from collections.abc import Callable

import definitions_numpy as numpy_s
import jax
import jax.numpy as jnp
import numpy as np
import optax
from definitions_numpy import BETAS, CONVOLUTIONS, DECAY, EPSILON, GROUPS, MOMENTUM, RATE
from flax import linen as nn
from jax import Array, lax

jax.config.update("jax_enable_x64", True)

Arrays = tuple[np.ndarray, ...]
LAYOUTS = {1: ("NXC", "XIO", "NXC"), 2: ("NXYC", "XYIO", "NXYC"), 3: ("NXYZC", "XYZIO", "NXYZC")}
NORM = {"epsilon": EPSILON, "use_fast_variance": False}
LINALG, FFT = jnp.linalg, jnp.fft
# Its weights are rounded to float32.
IN_FLOAT32 = ("attention", "causal attention", "masked attention")


def single(operands: Arrays) -> bool:
    """Say whether operands are in single precision: then JAX computes as it does unless told."""
    return any(x.dtype == np.float32 for x in operands)


def value(function: Callable, operands: Arrays) -> np.ndarray:
    """See `definitions.Part`."""
    with jax.enable_x64(not single(operands)):
        return np.asarray(jax.jit(function)(*operands))


def gradients(function: Callable, operands: Arrays, upstream: np.ndarray) -> Arrays:
    """See `definitions.Part`."""
    floats = tuple(number for number, x in enumerate(operands) if x.dtype.kind == "f")

    def total(*operands: Array) -> Array:
        return (function(*operands) * upstream).sum()

    with jax.enable_x64(not single(operands)):
        return tuple(map(np.asarray, jax.jit(jax.grad(total, argnums=floats))(*operands)))


def dropout(ones: np.ndarray, rate: float) -> Arrays:
    """See `definitions.Part`."""
    layer, key = nn.Dropout(rate), jax.random.key(1)

    def dropped(x: Array) -> Array:
        return layer.apply({}, x, deterministic=False, rngs={"dropout": key})

    slope = jax.grad(lambda x: dropped(x).sum())(ones)
    evaluated = layer.apply({}, ones, deterministic=True)
    return tuple(map(np.asarray, (dropped(ones), slope, evaluated)))


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """See `definitions.Part`."""
    key = jax.random.key(seed)
    return tuple(
        np.asarray(draw(key, (count,))) for draw in (jax.random.normal, jax.random.uniform)
    )


def convolve(x: Array, w: Array, stride: int, dilation: int = 1, groups: int = 1) -> Array:
    """Convolve with padding to the same size."""
    sides = x.ndim - 2
    return lax.conv_general_dilated(
        x,
        w,
        (stride,) * sides,
        "SAME",
        rhs_dilation=(dilation,) * sides,
        dimension_numbers=LAYOUTS[sides],
        feature_group_count=groups,
    )


def pool(x: Array, start: float, reduce: Callable[[Array, Array], Array]) -> Array:
    """Reduce squares of 2 x 2."""
    return lax.reduce_window(
        x, np.asarray(start, x.dtype), reduce, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
    )


def normalised(layer: nn.Module) -> Callable[..., Array]:
    """Apply one of Flax's norms with a scale and a shift."""

    def apply(x: Array, scale: Array, shift: Array) -> Array:
        given = {"params": {"scale": scale, "bias": shift}}
        return layer.apply(given, x, mutable=["batch_stats"])[0]

    return apply


def batch_norm_kept(x: Array) -> Array:
    """Give what a batch norm keeps of its first batch."""
    norm = nn.BatchNorm(use_running_average=False, momentum=MOMENTUM, **NORM)
    given = norm.init(jax.random.key(1), x)
    kept = norm.apply({"params": given["params"], **fresh(x)}, x, mutable=["batch_stats"])[1]
    return jnp.concatenate([kept["batch_stats"]["mean"], kept["batch_stats"]["var"]])


def fresh(x: Array) -> dict[str, dict[str, Array]]:
    """Give what a batch norm keeps before its first batch, in the batch's dtype."""
    shape = x.shape[-1:]
    return {"batch_stats": {"mean": jnp.zeros(shape, x.dtype), "var": jnp.ones(shape, x.dtype)}}


def lstm(x: Array, w: Array, u: Array, b: Array) -> Array:
    """Run Flax's LSTM; its gates are the columns of w, u and b."""
    names = "ifgo"
    kernels, recurrent, biases = (jnp.split(part, 4, axis=-1) for part in (w, u, b))
    cell = {f"i{name}": {"kernel": part} for name, part in zip(names, kernels, strict=True)}
    for name, kernel, bias in zip(names, recurrent, biases, strict=True):
        cell[f"h{name}"] = {"kernel": kernel, "bias": bias}
    layer = nn.RNN(nn.OptimizedLSTMCell(u.shape[0], dtype=x.dtype, param_dtype=x.dtype))
    return layer.apply({"params": {"cell": cell}}, x)


def stepped(rule: optax.GradientTransformation) -> Callable[[Array, Array], Array]:
    """Take a step for each row of gradients."""

    def step(p: Array, rows: Array) -> Array:
        state = rule.init(p)
        for g in rows:
            update, state = rule.update(g, state, p)
            p = optax.apply_updates(p, update)
        return p

    return step


def clipped(x: Array, y: Array) -> Array:
    """Clip two gradients together."""
    rule = optax.clip_by_global_norm(1.0)
    return jnp.concatenate(rule.update((x, y), rule.init((x, y)))[0])


def in_bfloat16(x: Array, w: Array, b: Array) -> Array:
    """Multiply in bfloat16."""
    rounded = (part.astype(jnp.bfloat16) for part in (x, w, b))
    x16, w16, b16 = rounded
    return (x16 @ w16 + b16).astype(x.dtype)


def mixed(x: Array, w: Array, b: Array) -> Array:
    """Apply a dense layer whose weights are float32 and whose products are bfloat16."""
    layer = nn.Dense(w.shape[1], dtype=jnp.bfloat16)
    return layer.apply({"params": {"kernel": w, "bias": b}}, x).astype(x.dtype)


def smoothed(logits: Array, classes: Array) -> Array:
    """Smooth labels, and compare."""
    labels = jax.nn.one_hot(classes, logits.shape[1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(labels, numpy_s.SMOOTHING))


def bits(x: Array, dtype: jnp.dtype) -> Array:
    """Round and show the bits."""
    return lax.bitcast_convert_type(x.astype(dtype), jnp.int16)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "linear": lambda x, w, b: x @ w + b,
    "linear in bfloat16": in_bfloat16,
    "mixed precision": mixed,
    "to float16": lambda x: bits(x, jnp.float16),
    "to bfloat16": lambda x: bits(x, jnp.bfloat16),
    **{
        numpy_s.convolution(*each): lambda x, w, each=each: convolve(x, w, *each[1:])
        for each in CONVOLUTIONS
    },
    "conv1d": lambda x, w: convolve(x, w, 2),
    "conv3d": lambda x, w: convolve(x, w, 2),
    "depthwise": lambda x, w: convolve(x, w[:, :, None], 2, groups=x.shape[-1]),
    "transposed": lambda x, w: lax.conv_transpose(
        x, w, (2, 2), "SAME", dimension_numbers=LAYOUTS[2], transpose_kernel=True
    ),
    "max pool": lambda x: pool(x, -np.inf, lax.max),
    "average pool": lambda x: pool(x, 0, lax.add) / 4,
    "attention": jax.nn.dot_product_attention,
    "causal attention": lambda *x: jax.nn.dot_product_attention(*x, is_causal=True),
    "masked attention": lambda q, k, v, mask: jax.nn.dot_product_attention(q, k, v, mask=mask),
    "batch norm": normalised(nn.BatchNorm(use_running_average=False, **NORM)),
    "batch norm, kept": batch_norm_kept,
    "layer norm": normalised(nn.LayerNorm(**NORM)),
    "group norm": normalised(nn.GroupNorm(GROUPS, **NORM)),
    "lstm": lstm,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "elu": jax.nn.elu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu by tanh": jax.nn.gelu,
    "softmax over rows": lambda x: jax.nn.softmax(x, axis=0),
    "softmax": jax.nn.softmax,
    "softmax of large numbers": jax.nn.softmax,
    "log softmax": jax.nn.log_softmax,
    "cross entropy": optax.softmax_cross_entropy_with_integer_labels,
    "smoothed cross entropy": smoothed,
    "binary cross entropy": optax.sigmoid_binary_cross_entropy,
    "huber": lambda x, y: optax.huber_loss(x, y).mean(),
    "SGD": stepped(optax.sgd(RATE, BETAS[0], nesterov=True)),
    "Adam": stepped(optax.adam(RATE, *BETAS, eps=0)),
    "AdamW": stepped(optax.adamw(RATE, *BETAS, eps=0, weight_decay=DECAY)),
    "RMSprop": stepped(optax.rmsprop(RATE, numpy_s.RMS_DECAY, eps=0)),
    "clipped by the global norm": clipped,
    "sort": lambda x: jnp.sort(x, axis=1),
    "argsort": lambda x: jnp.argsort(x, axis=1),
    "top k": lambda x: lax.top_k(x, 9)[0],
    "argmax": lambda x: jnp.argmax(x, axis=1),
    "unique": lambda x: jnp.unique(x, size=67),
    "cumulative sum": lambda x: jnp.cumsum(x, axis=1),
    "sum over rows": lambda x: x.sum(axis=0),
    "embedding": lambda x, where: jnp.take(x, where, axis=0),
    "scattered sum": lambda x, where, values: x.at[where].add(values),
    "segment sum": lambda x, where: jax.ops.segment_sum(x, where, 67),
    "einsum": lambda x, y: jnp.einsum("bij,bjk->bik", x, y),
}
