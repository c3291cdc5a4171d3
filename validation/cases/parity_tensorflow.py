"""The network of layers_numpy.py, by TensorFlow's operators and Keras's layers."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from layers_numpy import EPSILON, FILTERS, TOKENS, Arrays


def compute(p: Arrays, images: np.ndarray, classes: np.ndarray) -> tuple[Arrays, Arrays]:
    """See `parity.Part`. Channels are last, as TensorFlow has them on CPUs."""
    w = {name: tf.Variable(array) for name, array in p.items()}
    norm = {"epsilon": EPSILON, "dtype": images.dtype.name}
    batch_norm = keras.layers.BatchNormalization(**norm)
    layer_norm = keras.layers.LayerNormalization(**norm)
    batch_norm.build((None, None, None, FILTERS))
    layer_norm.build((None, None, FILTERS))
    for layer, kind in ((batch_norm, "batch"), (layer_norm, "layer")):
        layer.gamma.assign(w[f"{kind}_scale"])
        layer.beta.assign(w[f"{kind}_shift"])
        w |= {f"{kind}_scale": layer.gamma.value, f"{kind}_shift": layer.beta.value}
    with tf.GradientTape() as tape:
        kernel = tf.transpose(w["kernel"], (2, 3, 1, 0))
        convolved = tf.nn.conv2d(images.transpose(0, 2, 3, 1), kernel, 1, "SAME")
        pooled = tf.nn.max_pool2d(tf.nn.relu(batch_norm(convolved, training=True)), 2, 2, "VALID")
        tokens = tf.reshape(pooled, (-1, TOKENS, FILTERS))
        query, key, value = (tokens @ w[name] for name in ("query", "key", "value"))
        root = tf.sqrt(tf.cast(FILTERS, tokens.dtype))
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / root)
        flat = tf.reshape(tf.tanh(layer_norm(tokens + weights @ value)), (len(images), -1))
        logits = flat @ w["dense"] + w["dense_bias"]
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        loss = tf.reduce_mean(each)
    gradient = tape.gradient(loss, w)
    outputs = {"logits": logits.numpy(), "loss": loss.numpy()}
    return outputs, {name: tensor.numpy() for name, tensor in gradient.items()}
