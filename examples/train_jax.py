"""Data-parallel training on a released JAX stack: the same file for one process and mpiexec.

python train_jax.py
mpiexec -n 2 python train_jax.py
"""

from __future__ import annotations

import socket

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Parts
from mpi4py import MPI  # starts MPI; without mpiexec it knows one rank

STEPS = 200
BATCH = 64  # samples per rank and step


def join() -> None:
    """Tell JAX what MPI knows: who is who, and where rank 0 listens."""
    world = MPI.COMM_WORLD
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    one_host = len(set(world.allgather(socket.gethostname()))) == 1
    host = "127.0.0.1" if one_host else socket.gethostbyname(socket.gethostname())
    jax.distributed.initialize(world.bcast(f"{host}:{port}"), world.size, world.rank)


def main() -> None:
    """Learn the direction that a noisy label comes from; all ranks end with the same weights."""
    join()
    mesh = Mesh(np.array(jax.devices()), ("ranks",))
    over_ranks = NamedSharding(mesh, Parts("ranks"))
    truth = np.random.default_rng(0).standard_normal(32, np.float32)
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(weights: jax.Array, state: optax.OptState, x: jax.Array, y: jax.Array) -> object:
        # The batch lies over all ranks, so the mean of its loss is theirs, and so is its gradient.
        slope = jax.grad(lambda w: jnp.mean((x @ w - y) ** 2))(weights)
        changes, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, changes), state

    weights = np.zeros(32, np.float32)
    state = optimizer.init(weights)
    data = np.random.default_rng(1 + jax.process_index())  # each rank its own samples
    for _ in range(STEPS):
        x = data.standard_normal((BATCH, 32), np.float32)
        y = x @ truth + 5 * data.standard_normal(BATCH, np.float32)
        whole = (jax.make_array_from_process_local_data(over_ranks, mine) for mine in (x, y))
        weights, state = step(weights, state, *whole)
    learnt = np.asarray(weights.addressable_data(0))
    found = learnt @ truth / np.linalg.norm(learnt) / np.linalg.norm(truth)
    if jax.process_index() == 0:
        print(f"ranks: {jax.process_count()}, direction found to {found:.4f}")
    MPI.COMM_WORLD.Barrier()  # nobody leaves while another still talks


if __name__ == "__main__":
    main()
