"""PyTorch, as `frameworks.Framework` has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from collectives import Backend, Brain, Gloo, Joined
from emit import Emitter
from world import gloo

MODULES = ("torch",)
OPENMP_RUNTIMES = 1
POOL = None


def optimised() -> tuple[bool, str]:
    """See Framework."""
    has_mkl, has_onednn = torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available()
    return has_mkl and has_onednn, f"MKL {has_mkl}, oneDNN {has_onednn}"


def threads() -> int:
    """See Framework."""
    return torch.get_num_threads()


def multiply() -> None:
    """See Framework."""
    matrix = torch.ones(768, 768)
    matrix @ matrix


@contextmanager
def together(out: Emitter) -> Iterator[int]:
    """See Framework."""
    with gloo(out):
        yield dist.get_world_size()


def collectives() -> list[Backend]:
    """See Framework."""
    return [Gloo(), Brain(), Joined()]
