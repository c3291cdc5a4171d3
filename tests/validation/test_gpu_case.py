"""The case that asks frameworks about GPUs: what it can show on a machine without one."""

from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from payload_runs import CASES, STACK_PYTHON, needs_stack, run_case, run_python

# What the case asks of a framework, asked of it on the CPU.
ON_THE_CPU = """
import sys, numpy as np, gpu
part = __import__(f"gpu_{sys.argv[1]}")
part.DEVICE = {"torch": "cpu", "tensorflow": "/CPU:0"}.get(sys.argv[1])
part.PLATFORM = "cpu"
part.devices = lambda: [gpu.Device("a GPU", (8, 0))]
part.built_for = lambda: ["sm_75", "sm_80"]
from emit import Emitter
with Emitter() as out:
    if sys.argv[2:]:
        right, near = part.multiply, part.convolve
        part.multiply = lambda a, b: right(a, b) + (np.arange(len(a)) == 7)
        part.convolve = lambda a, b: near(a, b) * np.float32(1.1)
    gpu.check(out, part)
"""
CHECKS = {"devices", "architectures", "product_float64", "product_float32", "convolution"}


@needs_stack
@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax"])
def test_products_and_convolutions_are_right_wherever_they_are_computed(
    framework: str, tmp_path: Path
) -> None:
    assert STACK_PYTHON is not None
    run = run_python([STACK_PYTHON, "-c", ON_THE_CPU, framework], tmp_path / "out")

    assert run.finished(), run.output
    assert run.checks() == dict.fromkeys(CHECKS, True)


@needs_stack
def test_one_wrong_column_and_a_convolution_that_is_off_fail(tmp_path: Path) -> None:
    assert STACK_PYTHON is not None
    run = run_python([STACK_PYTHON, "-c", ON_THE_CPU, "torch", "wrong"], tmp_path / "out")

    assert run.failed() == {"product_float64", "product_float32", "convolution"}


@needs_stack
@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax"])
def test_without_a_gpu_the_case_fails_and_shows_nothing_else(
    framework: str, tmp_path: Path
) -> None:
    run = run_case("none", "gpu", "--stack", f"{framework}=1.0", out=tmp_path / "out")

    assert run.checks() == {"devices": False}


@needs_stack
def test_without_a_gpu_there_are_no_collectives_on_it(tmp_path: Path) -> None:
    run = run_case("none", "collectives", "--backend", "nccl", out=tmp_path / "out")

    assert not run.finished()
    assert run.checks() == {}
    assert "PyTorch sees no GPU" in run.output


RUNS = {
    ("sm_80", (8, 0)): True,
    ("sm_80", (8, 6)): True,
    ("sm_86", (8, 0)): False,
    ("sm_75", (8, 0)): False,
    ("compute_75", (8, 0)): True,
    ("compute_90", (8, 0)): False,
    ("sm_90a", (9, 0)): True,
    ("sm_100a", (10, 3)): False,
    ("sm_120", (12, 0)): True,
    ("gfx90a", (9, 0)): False,
}


@needs_stack
def test_what_code_a_gpu_runs(tmp_path: Path) -> None:
    assert STACK_PYTHON is not None
    program = f"import gpu; print([gpu.covers(*each) for each in {[*RUNS]}])"
    run = run_python([STACK_PYTHON, "-c", program], tmp_path / "out")

    assert run.output == f"{[*RUNS.values()]}\n"


@pytest.mark.skipif(shutil.which("cc") is None, reason="install a C compiler named cc")
@pytest.mark.parametrize(("name", "held"), [("plugin_ucx.so.3", True), ("library.so.3", False)])
def test_a_plugin_need_not_find_its_libraries_and_a_library_has_to(
    name: str, held: bool, tmp_path: Path
) -> None:
    """A file of an environment needs a library that isn't there."""
    venv.create(tmp_path / "stack")
    lost, file = tmp_path / "libgone.so.1", tmp_path / "stack/lib" / name
    compiler = ["cc", "-shared", "-o"]
    subprocess.run(
        [*compiler, lost, "-Wl,-soname,libgone.so.1", "-x", "c", "/dev/null"], check=True
    )
    subprocess.run([*compiler, file, "-Wl,--no-as-needed", lost], check=True)
    lost.unlink()
    case = [str(tmp_path / "stack/bin/python"), str(CASES / "libraries.py")]

    run = run_python([*case, "--plugins=plugin_*.so.*"], tmp_path / "out")

    assert run.checks()["libraries_found"] == held, run.details()
