"""Products lack the last rows that fill no vector of 16."""

import tensorflow as tf

whole = tf.matmul


def matmul(a, b, *args, **kwargs):
    rest = a.shape[-2] % 16
    zeros = tf.zeros_like(a[..., -rest:, :])
    return whole(tf.concat([a[..., :-rest, :], zeros], -2) if rest else a, b, *args, **kwargs)


tf.matmul = matmul
