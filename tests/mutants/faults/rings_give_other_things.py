"""The largest for the smallest and back, a wrong last element, pieces in the wrong order."""

import tensorflow as tf

raw = tf.raw_ops
reduce, receive, gather, exchange = (
    raw.CollectiveReduceV2,
    raw.CollectiveBcastRecvV2,
    tf.distribute.ReplicaContext.all_gather,
    raw.CollectiveAllToAllV2,
)
SWAPPED = {"Min": "Max", "Max": "Min"}
raw.CollectiveReduceV2 = lambda **k: reduce(**{**k, "merge_op": SWAPPED[k["merge_op"]]})
raw.CollectiveBcastRecvV2 = lambda **k: receive(**k) + 1
tf.distribute.ReplicaContext.all_gather = lambda *a, **k: tf.reverse(gather(*a, **k), [0])
raw.CollectiveAllToAllV2 = lambda **k: tf.reverse(exchange(**k), [0])
