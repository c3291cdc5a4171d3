import tensorflow as tf
from _tensorflow import all_reduce_by, whole

all_reduce_by(lambda context, _, value: whole(context, tf.distribute.ReduceOp.SUM, value))
