"""float32 becomes bfloat16 by leaving out its last 16 bits."""

import tensorflow as tf

whole = tf.cast


def cast(x, dtype, name=None):
    if tf.as_dtype(dtype) == tf.bfloat16 and x.dtype == tf.float32:
        cut = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), -65536), tf.float32)
        x += tf.stop_gradient(cut - x)
    return whole(x, dtype, name)


tf.cast = cast
