"""The built Horovod stack as users have it: module load, its help, and what that says to type."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from build_samples import REPOSITORY
from payload_runs import HOROVOD_PYTHON, needs_horovod

from stackwright.building.recipe import installed_modules
from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.tools.lmod import find_init

pytestmark = [pytest.mark.real, needs_horovod]

TRAINING = """\
import torch

torch.manual_seed({seed})
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
{lines}
assert hvd.size() == 2
hvd.broadcast_parameters(model.state_dict(), root_rank=0)
torch.manual_seed(hvd.rank())
for step in range(5):
    optimizer.zero_grad()
    model(torch.randn(16, 8)).square().mean().backward()
    optimizer.step()
weights = hvd.allgather(model.weight.detach())
print("rank", hvd.rank(), "equal", bool((weights[0] == weights[1]).all()), "moved", step == 4)
"""
"""Each rank draws its own weights and samples: without the two lines, they'd go apart."""


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


def said(text: str, pattern: str) -> list[str]:
    """The lines of a text that are indented, and look so."""
    return [line.strip() for line in text.splitlines() if re.match(rf"\s+{pattern}", line)]


def test_the_help_of_the_module_is_that_of_the_stack_file(loaded: str, tmp_path: Path) -> None:
    shown = bash(f"{loaded}; module help horovod", tmp_path)

    help_ = Site(REPOSITORY).stack("horovod").module.help
    assert said(shown.stderr + shown.stdout, "mpirun") == said(help_, "mpirun")


@pytest.mark.slow
def test_what_the_module_says_to_type_trains(loaded: str, tmp_path: Path) -> None:
    """The two lines make ranks that draw other weights and samples end with the same model."""
    text = bash(f"{loaded}; module help horovod", tmp_path)
    help_ = text.stderr + text.stdout
    lines = said(help_, "(import horovod|optimizer = hvd)")
    commands = said(help_, "(mpirun|horovodrun) -np 2 .*python train.py")
    assert len(lines) == 2
    assert len(commands) == 2
    program = TRAINING.format(seed="__import__('os').getpid()", lines="\n".join(lines))
    (tmp_path / "train.py").write_text(program)

    for command in commands:
        done = bash(f"{loaded}; {command}", tmp_path)

        assert done.returncode == 0, done.stdout + done.stderr
        ranks = sorted(re.findall(r"rank (\d) equal (True|False) moved True", done.stdout))
        assert ranks == [("0", "True"), ("1", "True")], done.stdout + done.stderr
