"""The collectives of jax.distributed, as programs over a mesh of one device a rank have them."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from collectives import COPIED, KINDS, SUMMED
from jax import Array, lax
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Parts
from world_jax import AXIS

REDUCTIONS = {"sum": lax.psum, "min": lax.pmin, "max": lax.pmax}


class Meshed:
    """All ranks' devices in a row. XLA compiles no reduce-scatter of empty arrays."""

    kinds, summed, copied, exact = KINDS, SUMMED, COPIED, 2**24
    smallest = 1

    def __init__(self, mesh: Mesh) -> None:
        """Take the mesh that joined the ranks."""
        self._mesh = mesh

    def allreduce(self, mine: np.ndarray, operation: str) -> np.ndarray:
        """See Backend."""
        return self._run(lambda x: REDUCTIONS[operation](x, AXIS), mine)

    def broadcast(self, mine: np.ndarray, root: int) -> np.ndarray:
        """See Backend."""
        found = broadcast_one_to_all(mine, is_source=jax.process_index() == root)
        return np.asarray(found)

    def allgather(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        del world
        return self._run(lambda x: lax.all_gather(x, AXIS, tiled=True), mine)

    def reduce_scatter(self, mine: np.ndarray, world: int) -> np.ndarray:
        """See Backend."""
        del world
        return self._run(lambda x: lax.psum_scatter(x, AXIS, tiled=True), mine)

    def alltoall(self, mine: np.ndarray) -> np.ndarray:
        """See Backend."""
        return self._run(lambda x: lax.all_to_all(x, AXIS, 0, 0, tiled=True), mine)

    def _run(self, work: Callable[[Array], Array], mine: np.ndarray) -> np.ndarray:
        """Run a program on all ranks, each with its own array; this rank's result."""
        every = Parts(AXIS)
        whole = jax.make_array_from_process_local_data(
            NamedSharding(self._mesh, every), mine[None], (self._mesh.size, *mine.shape)
        )
        program = jax.shard_map(
            lambda x: work(x[0])[None], mesh=self._mesh, in_specs=every, out_specs=every
        )
        return np.asarray(jax.jit(program)(whole).addressable_data(0))[0]
