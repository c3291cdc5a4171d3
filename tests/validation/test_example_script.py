"""What `module help` tells scientists to type runs, and the ranks of the example train together."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from payload_runs import HOROVOD_PYTHON, STACK_PYTHON, SUITES, needs_stack, versions_of

from stackwright.inputs.site import Site

REPOSITORY = Path(__file__).parents[2]
CLOSE = 0.9
# The suite by which versions_of knows what a stack's environment has, and the stack's own example.
STACKS = {
    "pytorch": ("certify", "train.py"),
    "tensorflow": ("tensorflow-certify", "train_tensorflow.py"),
    "jax": ("jax", "train_jax.py"),
    "horovod": ("horovod", "train_horovod.py"),
}
COMMAND = re.compile(r"^ +((?:python|torchrun|mpiexec|horovodrun) .*?train\.py)\b", re.MULTILINE)


def commands(stack: str) -> list[str]:
    """The commands that a stack's `module help` shows."""
    return COMMAND.findall(Site(REPOSITORY).stack(stack).module.help)


def every() -> list[object]:
    """Each command of each stack; those of two processes of the others take longer."""
    return [
        pytest.param(stack, command, marks=[pytest.mark.long] * (stack != "pytorch"))
        for stack in STACKS
        for command in commands(stack)
    ]


def test_help_shows_one_process_and_several_for_every_stack() -> None:
    assert {suite for suite, _ in STACKS.values()} == {*SUITES}
    for stack in STACKS:
        shown = commands(stack)
        assert shown[0] == "python train.py"
        assert "mpiexec -n 2 python train.py" in shown


@needs_stack
@pytest.mark.parametrize(("stack", "command"), every())
def test_what_help_shows_trains(stack: str, command: str) -> None:
    suite, example = STACKS[stack]
    python = (stack == "horovod" and HOROVOD_PYTHON) or STACK_PYTHON
    assert python is not None
    versions_of(Path(python), suite)
    own = Path(python).parent
    words = [
        str(REPOSITORY / "examples" / example) if w == "train.py" else w
        for w in shlex.split(command)
    ]

    done = subprocess.run(
        words,
        env={**os.environ, "PATH": f"{own}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = re.search(r"\branks: (\d+), direction found to ([\d.]+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert int(found[1]) == (1 if command.startswith("python ") else 2)
    assert float(found[2]) > CLOSE
