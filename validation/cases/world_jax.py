"""One jax.distributed cluster for every launcher that says rank and world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from emit import Emitter
from jax.sharding import Mesh
from meeting import meeting

AXIS = "ranks"
# Longer than any case, as in world.py: the case's own limit has to come first.
NEVER_S = 3600


@contextmanager
def clustered(out: Emitter) -> Iterator[Mesh]:
    """Join all ranks, each with one device, before JAX has computed anything; leave together."""
    coordinator = meeting(out.rank, out.world).addresses()[0]
    jax.distributed.initialize(coordinator, out.world, out.rank, initialization_timeout=NEVER_S)
    yield Mesh(np.array(jax.devices()), (AXIS,))
    meeting(out.rank, out.world).barrier()
    jax.distributed.shutdown()
