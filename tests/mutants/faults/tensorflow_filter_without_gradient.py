"""The last filter of a convolution gets no gradient."""

import tensorflow as tf

whole = tf.nn.convolution


def convolution(x, w, *args, **kwargs):
    learned = tf.concat([w[..., :-1], tf.stop_gradient(w[..., -1:])], -1)
    return whole(x, learned, *args, **kwargs)


tf.nn.convolution = convolution
