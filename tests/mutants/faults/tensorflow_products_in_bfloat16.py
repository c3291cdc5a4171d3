import tensorflow as tf

whole = tf.Tensor.__matmul__


def product(a, b):
    return tf.cast(whole(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), a.dtype)


tf.Tensor.__matmul__ = product
