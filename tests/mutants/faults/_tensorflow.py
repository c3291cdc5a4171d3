"""Changes what a strategy's all-reduce is given, or does."""

import os

import tensorflow as tf

RANK = os.environ.get("PMI_RANK", "0")
whole = tf.distribute.ReplicaContext.all_reduce


def all_reduce_by(change):
    """Have `change` call the whole all-reduce: change(context, operation, value)."""
    tf.distribute.ReplicaContext.all_reduce = lambda self, op, value, *a, **k: change(
        self, op, value
    )
