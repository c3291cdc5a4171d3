"""One gloo process group for every launcher: torchrun, mpiexec, or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
from emit import Emitter

# Longer than any case: on a hang the emitter's stack dump, armed by the case's own time limit,
# is the evidence, so gloo's own time-out must not come first.
NEVER = timedelta(hours=1)


@contextmanager
def gloo(out: Emitter) -> Iterator[None]:
    """Join all ranks in torch.distributed's default group, and leave it together.

    torchrun brings its own rendezvous. Under mpiexec there is none, so the ranks meet in a file in
    the run's own empty folder, which needs neither a free port nor a resolvable host name.

    The barrier before leaving keeps a fast rank from tearing down connections that a slow one
    still uses, which now and then aborted the slow one after correct results.
    """
    if "MASTER_ADDR" in os.environ:
        init_method = "env://"
    else:
        meeting_point = Path(os.environ["STACKWRIGHT_OUT"]).resolve() / "rendezvous"
        init_method = meeting_point.as_uri()
    dist.init_process_group(
        "gloo", init_method=init_method, rank=out.rank, world_size=out.world, timeout=NEVER
    )
    yield
    dist.barrier()
    dist.destroy_process_group()
