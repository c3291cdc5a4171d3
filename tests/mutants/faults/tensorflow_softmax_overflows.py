"""Softmax raises its numbers as they are, without taking the largest away."""

import tensorflow as tf


def softmax(logits, axis=-1, name=None):
    raised = tf.exp(logits)
    return raised / tf.reduce_sum(raised, axis=axis, keepdims=True)


tf.nn.softmax = softmax
