"""Leaving a process group leaves nothing behind that could abort a rank after its results."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from payload_runs import CASES, STACK_PYTHON, needs_stack

LEAVE = """
from pathlib import Path
from emit import Emitter
from world import gloo

def threads():
    return sorted(p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm"))

def train():
    import torch
    from torch.nn.parallel import DistributedDataParallel
    model = DistributedDataParallel(torch.nn.Linear(3, 1))
    model(torch.ones(2, 3)).sum().backward()

with Emitter(rank=0, world=1) as out:
    alone = threads()
    with gloo(out):
        train()
        assert threads() != alone
import gc
gc.collect()
assert threads() == alone, threads()
"""


@needs_stack
@pytest.mark.slow
def test_no_thread_of_a_group_outlives_it_though_a_model_was_wrapped_for_ddp() -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CASES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [STACK_PYTHON or sys.executable, "-c", LEAVE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
