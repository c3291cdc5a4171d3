"""One process group for every launcher: torchrun, mpiexec, or none."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional
from emit import Emitter

# Longer than any case: on a hang the emitter's stack dump, armed by the case's own time limit,
# is the evidence, so gloo's own time-out must not come first.
NEVER = timedelta(hours=1)


def rendezvous(world: int) -> dict[str, Any]:
    """Say where the ranks meet, as keywords of `init_process_group`.

    torchrun brings its own rendezvous. mpiexec has none, so there the ranks meet in a file in the
    run's own empty folder, which needs neither a free port nor a resolvable host name.
    """
    if "MASTER_ADDR" in os.environ:
        return {"init_method": "env://"}
    if world == 1:
        return {"store": dist.HashStore()}
    folder = Path(os.environ["STACKWRIGHT_OUT"]).resolve()
    return {"init_method": (folder / "rendezvous").as_uri()}


@contextmanager
def gloo(out: Emitter) -> Iterator[None]:
    """Join all ranks in torch.distributed's default group, and leave it together."""
    with _joined(out, "gloo"):
        yield


@contextmanager
def nccl(out: Emitter) -> Iterator[int]:
    """The same on GPUs, one for each rank of a node; gives how many ranks there are.

    Raises:
        RuntimeError: there is none.
    """
    if not (count := torch.cuda.device_count()):
        raise RuntimeError("PyTorch sees no GPU")
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", out.rank)) % count)
    with _joined(out, "nccl"):
        yield dist.get_world_size()


@contextmanager
def _joined(out: Emitter, backend: str) -> Iterator[None]:
    """Join all ranks in the default group, and leave it together.

    The barrier before leaving keeps a fast rank from tearing down connections that a slow one
    still uses, which now and then aborted the slow one after correct results. The group's threads
    have to end before the interpreter does: a thread that wants its lock then is unwound, and C++
    calls std::terminate. A model wrapped for DDP keeps them until the garbage collector finds it,
    and torch.distributed.nn.functional for ever where it is imported once the group exists (by
    torch._dynamo, at the first DDP): the group is a default of its arguments. It is imported above.
    """
    atexit.register(gc.collect)
    meeting = rendezvous(out.world)
    dist.init_process_group(backend, **meeting, rank=out.rank, world_size=out.world, timeout=NEVER)
    yield
    dist.barrier()
    dist.destroy_process_group()
