"""What becomes a rank's command line under srun, and how its step is found to be ended."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stackwright.batch.srun import Meeting, Step, prelude

SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1",
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "5",
    "PMI_FD": "11",
    "PMI_RANK": "3",
    "PMI_SIZE": "4",
    "PMI_JOBID": "4711.5",
    "PMIX_RANK": "3",
    "PMIX_NAMESPACE": "slurm.pmix.4711.5",
    "PMIX_SERVER_URI41": "a;tcp4://127.0.0.1:1",
    "PMIX_SERVER_URI2": "a;tcp4://127.0.0.1:1",
}


def became(meeting: Meeting, *words: str) -> list[str]:
    """The words of the command line, each in brackets, as a run time would see them."""
    show = ("sh", "-c", 'for word do printf "[%s]\\n" "$word"; done', "show")
    argv = ("sh", "-c", prelude(meeting), "stackwright", *show, *words)
    return subprocess.run(
        argv, env={"PATH": "/usr/bin:/bin", **SLURM}, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_rank_is_told_what_torchrun_would_tell_it() -> None:
    assert became("torch", "ch-run", "--", "@RANK@", "python", "a b", "*", "") == [
        *("[ch-run]", "[--]", "[env]", "[RANK=3]", "[WORLD_SIZE=4]", "[LOCAL_RANK=1]"),
        *("[LOCAL_WORLD_SIZE=2]", "[MASTER_ADDR=10.0.0.1]", "[MASTER_PORT=26046]"),
        *("[python]", "[a b]", "[*]", "[]"),
    ]


def test_a_rank_is_told_where_it_finds_mpi() -> None:
    assert became("pmi2", "@RANK@", "python") == [
        *("[env]", "[PMI_FD=11]", "[PMI_RANK=3]", "[PMI_SIZE=4]", "[PMI_JOBID=4711.5]"),
        "[python]",
    ]


def test_a_rank_of_open_mpi_is_told_where_it_finds_pmix_in_each_version_that_there_is() -> None:
    assert became("pmix", "@RANK@", "python") == [
        *("[env]", "[OMPI_COMM_WORLD_RANK=3]", "[OMPI_COMM_WORLD_SIZE=4]"),
        *("[PMIX_RANK=3]", "[PMIX_NAMESPACE=slurm.pmix.4711.5]", "[PMIX_GDS_MODULE=hash]"),
        *("[PMIX_SERVER_URI41=a;tcp4://127.0.0.1:1]", "[PMIX_SERVER_URI2=a;tcp4://127.0.0.1:1]"),
        "[python]",
    ]


@pytest.mark.parametrize("name", ["stackwright-7-a", "stackwright-7-b"])
def test_the_step_of_a_name_is_ended_and_no_other(name: str, tmp_path: Path) -> None:
    steps = "4711.1 stackwright-7-a\\n4711.2 stackwright-7-b\\n4711.batch batch\\n"
    (tmp_path / "squeue").write_text(f"#!/bin/sh\nprintf '{steps}'\n")
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/ended\n')
    for program in ("squeue", "scancel"):
        (tmp_path / program).chmod(0o755)
    step = Step(nodes=("nid0001", "nid0002"), cores=2, ranks=2, cpus=1, meeting="torch", name=name)

    subprocess.run(step.kill, env={"PATH": f"{tmp_path}:/usr/bin:/bin", **SLURM}, check=True)

    ended = {"stackwright-7-a": "4711.1\n", "stackwright-7-b": "4711.2\n"}
    assert (tmp_path / "ended").read_text() == ended[name]


@pytest.mark.parametrize(
    ("ranks", "cpus", "bound"), [(2, 2, True), (4, 1, True), (4, 2, False), (6, 1, False)]
)
def test_ranks_have_cores_for_themselves_where_a_node_has_so_many(
    ranks: int, cpus: int, bound: bool
) -> None:
    argv = Step(("nid0001", "nid0002"), 2, ranks, cpus, "torch", "it").argv

    assert (f"--cpus-per-task={cpus}" in argv and "--cpu-bind=cores" in argv) == bound
    assert ("--overcommit" in argv) == (not bound)
