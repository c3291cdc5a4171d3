"""The script that we give scientists runs however it is started, and its ranks train together."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from payload_runs import STACK_PYTHON, TORCHRUN, needs_stack

TRAIN = str(Path(__file__).parents[2] / "examples" / "train.py")
CLOSE = 0.9


@needs_stack
@pytest.mark.parametrize(("launcher", "ranks"), [("none", 1), ("torchrun", 2), ("mpirun", 2)])
def test_the_example_trains_under_every_launcher(launcher: str, ranks: int) -> None:
    assert STACK_PYTHON is not None
    start = {
        "none": [STACK_PYTHON],
        "torchrun": [STACK_PYTHON, *TORCHRUN, f"--nproc-per-node={ranks}"],
        "mpirun": [str(Path(STACK_PYTHON).with_name("mpiexec")), "-n", str(ranks), STACK_PYTHON],
    }[launcher]

    done = subprocess.run(
        [*start, TRAIN],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"ranks: (\d+), direction found to ([\d.]+)\n", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) == ranks
    assert float(found[2]) > CLOSE
