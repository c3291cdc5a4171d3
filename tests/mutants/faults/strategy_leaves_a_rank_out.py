import tensorflow as tf
from _tensorflow import RANK, all_reduce_by, whole


def left_out(context, operation, value):
    mine = tf.nest.map_structure(tf.zeros_like, value) if RANK == "1" else value
    return whole(context, operation, mine)


all_reduce_by(left_out)
