"""The operations of definitions_numpy.py, by TensorFlow and Keras, compiled as `fit` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import definitions_numpy as numpy_s
import keras
import numpy as np
import tensorflow as tf
from definitions_numpy import BETAS, CONVOLUTIONS, DECAY, EPSILON, GROUPS, MOMENTUM, RATE

tf.get_logger().setLevel("ERROR")  # it warns of many functions that are traced: each is another

Arrays = tuple[np.ndarray, ...]
# Their constants, and rates, are rounded to float32.
ATTENTION = ("attention", "causal attention", "masked attention")
OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop")
IN_FLOAT32 = (*ATTENTION, "gelu", "gelu by tanh", *OPTIMIZERS)


def value(function: Callable, operands: Arrays) -> np.ndarray:
    """See `definitions.Part`."""
    return tf.function(function)(*map(tf.constant, operands)).numpy()


def gradients(function: Callable, operands: Arrays, upstream: np.ndarray) -> Arrays:
    """See `definitions.Part`."""

    @tf.function
    def run(*given: tf.Tensor) -> list[tf.Tensor]:
        floats = [x for x in given if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            total = tf.reduce_sum(function(*given) * upstream)
        return [tf.convert_to_tensor(g) for g in tape.gradient(total, floats)]

    return tuple(g.numpy() for g in run(*map(tf.constant, operands)))


def dropout(ones: np.ndarray, rate: float) -> Arrays:
    """See `definitions.Part`."""
    layer, x = keras.layers.Dropout(rate, seed=1), tf.constant(ones)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x, training=True)
    slope = tape.gradient(out, x)
    return tuple(each.numpy() for each in (out, slope, layer(x, training=False)))


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """See `definitions.Part`."""
    keras.utils.set_random_seed(seed)
    return tuple(draw((count,)).numpy() for draw in (keras.random.normal, tf.random.uniform))


def fit(x: np.ndarray, y: np.ndarray, batch: int, rate: float) -> np.ndarray:
    """Fit a line by Keras for an epoch, beginning at zero, in the samples' order: its weights."""
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((x.shape[1], 1), np.float32)])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
    return model.get_weights()[0]


@cache
def built(layer: Callable[[str], keras.Layer], dtype: str, shape: tuple[int, ...]) -> keras.Layer:
    """Make a layer once: a compiled function may not make variables whenever it is traced."""
    with tf.init_scope():
        made = layer(dtype)
        made.build(shape)
    return made


def applied(layer: Callable[[str], keras.Layer], **asked: object) -> Callable[..., tf.Tensor]:
    """Apply one of Keras's layers, made for a dtype, with weights that are given."""

    def apply(x: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        made = built(layer, x.dtype.name, tuple(x.shape))
        kept = [variable.value for variable in made.non_trainable_variables]
        return made.stateless_call(list(weights), kept, x, **asked)[0]

    return apply


def batch_norm(dtype: str) -> keras.Layer:
    """Normalise by the batch."""
    return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, dtype=dtype)


def batch_norm_kept(x: tf.Tensor) -> tf.Tensor:
    """Give what a batch norm keeps of its first batch."""
    norm = built(batch_norm, x.dtype.name, tuple(x.shape))
    weights = [variable.value for variable in norm.trainable_variables]
    kept = [variable.value for variable in norm.non_trainable_variables]
    return tf.concat(norm.stateless_call(weights, kept, x, training=True)[1], axis=0)


def stepped(rule: Callable[[], keras.Optimizer]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Take a step for each row of gradients."""

    @cache
    def made(dtype: str, size: int) -> tuple[keras.Optimizer, keras.Variable]:
        with tf.init_scope():
            optimizer, variable = rule(), keras.Variable(np.zeros(size), dtype=dtype)
            optimizer.build([variable])
        return optimizer, variable

    def step(p: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        optimizer, variable = made(p.dtype.name, p.shape[0])
        variable.assign(p)
        for number in range(rows.shape[0]):
            optimizer.apply([rows[number]], [variable])
        return variable.value

    return step


def mixed(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Apply a dense layer whose weights are float32 and whose products are bfloat16."""
    layer = built(mixed_dense, "mixed_bfloat16", tuple(x.shape))
    weights = [tf.cast(part, tf.float32) for part in (w, b)]
    return tf.cast(layer.stateless_call(weights, [], tf.cast(x, tf.float32))[0], x.dtype)


def mixed_dense(policy: str) -> keras.Layer:
    """Make the dense layer of `mixed`."""
    return keras.layers.Dense(131, dtype=policy)


def in_bfloat16(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Multiply in bfloat16."""
    x16, w16, b16 = (tf.cast(part, tf.bfloat16) for part in (x, w, b))
    return tf.cast(x16 @ w16 + b16, x.dtype)


def bits(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Round and show the bits."""
    return tf.bitcast(tf.cast(x, dtype), tf.int16)


def smoothed(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Smooth labels, and compare."""
    labels = tf.one_hot(classes, logits.shape[1], dtype=logits.dtype)
    return keras.losses.categorical_crossentropy(
        labels, logits, from_logits=True, label_smoothing=numpy_s.SMOOTHING
    )


def huber(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Give the mean of Keras's."""
    return keras.losses.huber(y[None], x[None])[0]


def transposed(x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """Give twice the sides."""
    count, high, wide, _ = x.shape
    return tf.nn.conv2d_transpose(x, w, (count, 2 * high, 2 * wide, w.shape[2]), 2, "SAME")


def svd(a: np.ndarray) -> tuple[tf.Tensor, ...]:
    """Give what `numpy.linalg.svd` gives."""
    values, left, right = tf.linalg.svd(a, full_matrices=True)
    return left, values, tf.transpose(right)


LINALG = SimpleNamespace(
    solve=tf.linalg.solve,
    inv=tf.linalg.inv,
    svd=svd,
    qr=tf.linalg.qr,
    eigh=tf.linalg.eigh,
    cholesky=tf.linalg.cholesky,
)
FFT = SimpleNamespace(
    fft=tf.signal.fft,
    ifft=tf.signal.ifft,
    rfft=tf.signal.rfft,
    irfft=lambda x, n: tf.signal.irfft(x, [n]),
)
FUNCTIONS: dict[str, Callable[..., tf.Tensor]] = {
    "linear": lambda x, w, b: tf.matmul(x, w) + b,
    "linear in bfloat16": in_bfloat16,
    "mixed precision": mixed,
    "to float16": lambda x: bits(x, tf.float16),
    "to bfloat16": lambda x: bits(x, tf.bfloat16),
    **{
        numpy_s.convolution(*each): lambda x, w, each=each: tf.nn.convolution(
            x, w, each[1], "SAME", dilations=each[2]
        )
        for each in CONVOLUTIONS
    },
    "conv1d": lambda x, w: tf.nn.conv1d(x, w, 2, "SAME"),
    "conv3d": lambda x, w: tf.nn.conv3d(x, w, (1, 2, 2, 2, 1), "SAME"),
    "depthwise": lambda x, w: tf.nn.depthwise_conv2d(x, w[..., None], (1, 2, 2, 1), "SAME"),
    "transposed": transposed,
    "max pool": lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    "average pool": lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"),
    "attention": keras.ops.dot_product_attention,
    "causal attention": lambda *x: keras.ops.dot_product_attention(*x, is_causal=True),
    "masked attention": lambda q, k, v, mask: keras.ops.dot_product_attention(q, k, v, mask=mask),
    "batch norm": applied(batch_norm, training=True),
    "batch norm, kept": batch_norm_kept,
    "layer norm": applied(
        lambda dtype: keras.layers.LayerNormalization(epsilon=EPSILON, dtype=dtype)
    ),
    "group norm": applied(
        lambda dtype: keras.layers.GroupNormalization(GROUPS, epsilon=EPSILON, dtype=dtype)
    ),
    "lstm": applied(lambda dtype: keras.layers.LSTM(41, return_sequences=True, dtype=dtype)),
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "silu": tf.nn.silu,
    "softplus": tf.nn.softplus,
    "elu": tf.nn.elu,
    "gelu": tf.nn.gelu,
    "gelu by tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "softmax over rows": lambda x: tf.nn.softmax(x, axis=0),
    "softmax": tf.nn.softmax,
    "softmax of large numbers": tf.nn.softmax,
    "log softmax": tf.nn.log_softmax,
    "cross entropy": lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(y, x),
    "smoothed cross entropy": smoothed,
    "binary cross entropy": lambda x, y: tf.nn.sigmoid_cross_entropy_with_logits(
        tf.cast(y, x.dtype), x
    ),
    "huber": huber,
    "SGD": stepped(lambda: keras.optimizers.SGD(RATE, BETAS[0], nesterov=True)),
    "Adam": stepped(lambda: keras.optimizers.Adam(RATE, *BETAS, epsilon=1e-12)),
    "AdamW": stepped(lambda: keras.optimizers.AdamW(RATE, DECAY, *BETAS, epsilon=1e-12)),
    "RMSprop": stepped(lambda: keras.optimizers.RMSprop(RATE, numpy_s.RMS_DECAY, epsilon=1e-20)),
    "clipped by the global norm": lambda x, y: tf.concat(tf.clip_by_global_norm([x, y], 1)[0], 0),
    "sort": lambda x: tf.sort(x, axis=1),
    "argsort": lambda x: tf.argsort(x, axis=1),
    "top k": lambda x: tf.math.top_k(x, 9).values,
    "argmax": lambda x: tf.argmax(x, axis=1),
    "unique": lambda x: tf.sort(tf.unique(x).y),
    "cumulative sum": lambda x: tf.cumsum(x, axis=1),
    "sum over rows": lambda x: tf.reduce_sum(x, axis=0),
    "embedding": tf.nn.embedding_lookup,
    "scattered sum": lambda x, where, values: tf.tensor_scatter_nd_add(x, where[:, None], values),
    "segment sum": lambda x, where: tf.math.unsorted_segment_sum(x, where, 67),
    "einsum": lambda x, y: tf.einsum("bij,bjk->bik", x, y),
}
