"""The collectives of a MultiWorkerMirroredStrategy, on numpy arrays."""

from __future__ import annotations

from itertools import count

import numpy as np
import tensorflow as tf
from collectives import SUMMED

# Apart from the keys that tf.distribute counts up from 1.
KEYS = count(1 << 20)
GROUP = 1 << 20


class Ring:
    """What is reduced and gathered as users do it, by the strategy; the rest by its operators.

    TensorFlow 2.21 on CPUs has no reduce-scatter; its rings move four dtypes, and end the process
    by a segmentation fault when they are given an empty tensor.
    """

    kinds = (
        *("allreduce_sum", "allreduce_min", "allreduce_max"),
        *("broadcast", "allgather", "alltoall"),
    )
    summed, copied, exact, smallest = SUMMED, SUMMED, 2**24, 1

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Take the strategy that joined the ranks."""
        self._strategy = strategy
        self._world = strategy.num_replicas_in_sync

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """See Backend."""
        tensor = tf.constant(mine)
        if operation == "sum":
            return self._by_replica(
                lambda context: context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)
            )
        reduced = tf.raw_ops.CollectiveReduceV2(
            input=tensor,
            **self._keys(),
            ordering_token=[],
            merge_op=operation.capitalize(),
            final_op="Id",
            communication_hint="ring",
        )
        return reduced.numpy()

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        resolver = self._strategy.cluster_resolver
        if resolver.task_id == root:
            return tf.raw_ops.CollectiveBcastSendV2(input=mine, **self._keys()).numpy()
        return tf.raw_ops.CollectiveBcastRecvV2(
            shape=mine.shape, T=mine.dtype, **self._keys()
        ).numpy()

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        del world
        tensor = tf.constant(mine)
        return self._by_replica(lambda context: context.all_gather(tensor, axis=0))

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """Not on CPUs."""
        raise NotImplementedError

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        parts = mine.reshape(self._world, -1)
        return (
            tf.raw_ops.CollectiveAllToAllV2(
                input=parts, **self._keys(), ordering_token=[], communication_hint="auto"
            )
            .numpy()
            .ravel()
        )

    def _by_replica(self, work: object) -> np.ndarray:
        return self._strategy.run(lambda: work(tf.distribute.get_replica_context())).numpy()

    def _keys(self) -> dict[str, int]:
        return {"group_size": self._world, "group_key": GROUP, "instance_key": next(KEYS)}
