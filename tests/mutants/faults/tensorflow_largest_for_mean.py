"""The mean of a pool's pixels is the largest of them."""

import tensorflow as tf

tf.nn.avg_pool2d = tf.nn.max_pool2d
