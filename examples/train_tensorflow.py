"""Data-parallel training on a released TensorFlow stack: the same file for one process and mpiexec.

python train_tensorflow.py
mpiexec -n 2 python train_tensorflow.py
"""

from __future__ import annotations

import json
import os
import socket

from mpi4py import MPI  # starts MPI; without mpiexec it knows one rank

STEPS = 200
BATCH = 64  # samples per rank and step


def meet() -> tuple[int, int]:
    """Tell TensorFlow what MPI knows: who is who, and where each rank listens."""
    world = MPI.COMM_WORLD
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    one_host = len(set(world.allgather(socket.gethostname()))) == 1
    host = "127.0.0.1" if one_host else socket.gethostbyname(socket.gethostname())
    workers = world.allgather(f"{host}:{port}")
    task = {"type": "worker", "index": world.rank}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return int(world.rank), int(world.size)


def main() -> None:
    """Learn the direction that a noisy label comes from; all ranks end with the same weights."""
    rank, size = meet()
    import keras
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything is computed
    truth = tf.random.stateless_normal((32, 1), seed=(0, 0))
    with strategy.scope():
        model = keras.Sequential([keras.Input((32,)), keras.layers.Dense(1)])
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)

    def replica(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            # Keras sums gradients over ranks: divided, they are the mean.
            loss = tf.reduce_mean((model(x) - y) ** 2) / size
        optimizer.apply(tape.gradient(loss, model.trainable_variables))

    step = tf.function(lambda x, y: strategy.run(replica, (x, y)))
    data = tf.random.Generator.from_seed(1 + rank)  # each rank its own samples
    for _ in range(STEPS):
        x = data.normal((BATCH, 32))
        step(x, x @ truth + 5 * data.normal((BATCH, 1)))
    found = tf.reduce_sum(tf.nn.l2_normalize(model.get_weights()[0]) * tf.nn.l2_normalize(truth))
    if rank == 0:
        print(f"ranks: {strategy.num_replicas_in_sync}, direction found to {float(found):.4f}")
    MPI.COMM_WORLD.Barrier()  # nobody leaves while another still talks


if __name__ == "__main__":
    main()
