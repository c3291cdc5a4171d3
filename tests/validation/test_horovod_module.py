"""The built Horovod stack as users have it: module load, its help, and what that says to type."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from build_samples import REPOSITORY
from payload_runs import HOROVOD_PYTHON, needs_horovod

from stackwright.building.recipe import installed_modules
from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.tools.lmod import find_init

pytestmark = [pytest.mark.real, needs_horovod]

TORCH = """\
import os
import torch
torch.manual_seed(os.getpid())
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
before = model.weight.detach().clone()
{lines}
assert hvd.size() == 2
for step in range(5):
    optimizer.zero_grad()
    model(torch.randn(16, 8)).square().mean().backward()
    optimizer.step()
weight = model.weight.detach()
weights = hvd.allgather(weight)
moved = bool((weight != before).all())
print("rank", hvd.rank(), "equal", bool((weights[0] == weights[1]).all()), "moved", moved)
"""

KERAS = """\
import os
import tensorflow as tf
tf.keras.utils.set_random_seed(os.getpid())
model = tf.keras.Sequential([tf.keras.Input((8,)), tf.keras.layers.Dense(1, name="dense")])
optimizer, loss = tf.keras.optimizers.SGD(0.1), "mse"
x, y = tf.random.normal((80, 8)), tf.random.normal((80, 1))
before = model.get_weights()[0]
{lines}
assert hvd.size() == 2
weight = model.get_weights()[0]
weights = hvd.allgather(weight[None]).numpy()
moved = bool((weight != before).all())
print("rank", hvd.rank(), "equal", bool((weights[0] == weights[1]).all()), "moved", moved)
"""
"""Each rank draws its own weights and samples: without the lines of the help, they'd go apart."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What loads the module in a shell, from a tree as a release lays it out."""
    try:
        init = find_init()
    except StackwrightError as error:
        pytest.skip(f"needs Lmod: {error.hint}")
    prefix = Path(str(HOROVOD_PYTHON)).parents[1]
    if not (prefix / "share/stackwright/module.lua").is_file():
        pytest.skip("STACKWRIGHT_TEST_HOROVOD_PYTHON is not that of a built install prefix")
    file = tmp_path_factory.mktemp("modules") / "horovod" / "0.28.1-cpu.lua"
    file.parent.mkdir()
    file.write_bytes(installed_modules(prefix)["module.lua"])
    return f'source "{init}"; module use "{file.parents[1]}"; module load horovod'


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", script],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "LMOD_PAGER": "none",
            "OMP_NUM_THREADS": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def commands_of(text: str) -> list[str]:
    """The commands of a help that start two processes."""
    return re.findall(r"(?m)^ +((?:mpiexec -n|horovodrun -np) 2 .*python train\.py)", text)


def lines_of(text: str, module: str) -> str:
    """The lines of a help, beside each other, that begin with the import of a module."""
    (lines,) = re.findall(rf"(?m)^ +import {re.escape(module)} as hvd;.*\n(?: +\S.*\n)*", text)
    return textwrap.dedent(lines)


def test_the_help_of_the_module_is_that_of_the_stack_file(loaded: str, tmp_path: Path) -> None:
    shown = bash(f"{loaded}; module help horovod", tmp_path)

    help_ = Site(REPOSITORY).stack("horovod").module.help
    assert help_.strip() in shown.stderr + shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "program"), [("horovod.torch", TORCH), ("horovod.tensorflow.keras", KERAS)]
)
def test_what_the_module_says_to_type_trains(
    module: str, program: str, loaded: str, tmp_path: Path
) -> None:
    """Its lines make ranks that draw other weights and samples end with the same model."""
    text = bash(f"{loaded}; module help horovod", tmp_path)
    help_ = text.stderr + text.stdout
    (tmp_path / "train.py").write_text(program.format(lines=lines_of(help_, module)))
    commands = commands_of(help_)
    assert len(commands) == 2

    for command in commands:
        done = bash(f"{loaded}; {command}", tmp_path)

        assert done.returncode == 0, done.stdout + done.stderr
        ranks = sorted(re.findall(r"rank (\d) equal (True|False) moved True", done.stdout))
        assert ranks == [("0", "True"), ("1", "True")], done.stdout + done.stderr
