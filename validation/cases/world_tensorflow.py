"""One MultiWorkerMirroredStrategy for every launcher that says rank and world."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from emit import Emitter
from meeting import meeting


def cluster(addresses: list[str], rank: int) -> str:
    """Write TF_CONFIG: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG."""
    task = {"type": "worker", "index": rank}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


@contextmanager
def mirrored(out: Emitter) -> Iterator[tf.distribute.Strategy]:
    """Join all ranks, before TensorFlow has computed anything, and leave together.

    No launcher tells TF_CONFIG: each rank's port is told through the meeting. The barrier at the
    end keeps a fast rank's server alive while a slow one still talks to it.
    """
    os.environ["TF_CONFIG"] = cluster(meeting(out.rank, out.world).addresses(), out.rank)
    yield tf.distribute.MultiWorkerMirroredStrategy()
    meeting(out.rank, out.world).barrier()
