"""The suite over two nodes of a real Slurm, and what happens to it there."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest
from build_samples import LABEL
from slurm_samples import (
    OPENMPI_PYTHON,
    PMIX,
    WAITING,
    Slurm,
    Stack,
    make_stack,
    until,
    waiting,
)

pytestmark = pytest.mark.real

SUBMIT = ("validate", LABEL, "--launcher", "slurm", "-N", "2", "--time", "10")


def test_the_suite_runs_over_two_nodes(stack: Stack) -> None:
    done = stack.run(*SUBMIT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS {LABEL}" in done.stdout
    (run,) = stack.runs
    job = json.loads((run / "job.json").read_bytes())
    nodes = ["nid0001", "nid0002"]
    assert (job["launcher"], job["host"]["nodes"], job["host"]["hostnames"]) == (
        "srun",
        nodes,
        nodes,
    )
    records = stack.records(run)
    hosts = {record["case"]: [rank[0]["host"] for rank in record["ranks"]] for record in records}
    assert hosts == {
        "alone.none-1.module": ["nid0001"],
        "torch.torchrun-2.module": ["nid0001", "nid0002"],
        "mpi.mpirun-2.module": ["nid0001", "nid0002"],
        "mpi.mpirun-3.module": ["nid0001"] * 3,
    }


@pytest.mark.long
def test_ranks_that_hang_are_ended_on_every_node(stack: Stack) -> None:
    done = stack.run(*SUBMIT, "--suite", "hang")

    assert done.returncode == 4, done.stdout + done.stderr
    assert f"HUNG {LABEL}" in done.stdout
    (run,) = stack.runs
    (record,) = stack.records(run)
    assert {name.rpartition("/")[2] for name in record["logs"]} >= {"rank-0.stack", "rank-1.stack"}
    for node in ("nid0001", "nid0002"):
        until(lambda node=node: len(stack.slurm.processes(node)) == 1)  # slurmd itself


def test_a_node_that_dies_is_never_a_pass(stack: Stack) -> None:
    with waiting(stack, *SUBMIT, "--suite", "patience") as client:
        stack.slurm.kill("nid0002")
        out, err = client.communicate(timeout=180)

    assert client.returncode == 4, out + err
    assert f"INVALID {LABEL}" in out
    verdicts = dict(re.findall(r"^(\S+module) +(\S+)", out, re.MULTILINE))
    assert verdicts == {
        "first.none-1.module": "PASS",  # it was over before
        WAITING: "INVALID",
        "last.torchrun-2.module": "INVALID",  # srun gave up: there is one node left
    }
    assert stack.slurm.ask("squeue", "--noheader") == ""


@pytest.mark.long
def test_a_first_node_that_dies_takes_the_verdict_with_it(stack: Stack) -> None:
    """It holds what runs the suite; Slurm alone would let the job wait until its time is over."""
    with waiting(stack, *SUBMIT, "--suite", "patience") as client:
        stack.slurm.kill("nid0001")
        out, err = client.communicate(timeout=180)

    assert client.returncode == 4, out + err
    assert "ended as NODE_FAIL (nid0001, the first node, is down) without a verdict" in err
    assert "RUNNING" not in stack.slurm.ask("scontrol", "show", "job", "1")


def test_ctrl_c_cancels_the_job_and_the_next_one_goes_on(stack: Stack) -> None:
    with waiting(stack, *SUBMIT, "--suite", "patience") as client:
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=90)

    assert client.returncode == 130, out + err
    assert "job 1 is cancelled; to go on: stackwright validate" in err
    assert stack.slurm.ask("squeue", "--noheader") == ""
    (run,) = stack.runs
    assert [record["case"] for record in stack.records(run)] == ["first.none-1.module"]

    (stack.store / "runs/go").touch()
    done = stack.run(*SUBMIT, "--suite", "patience")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"going on in {run}" in done.stderr
    assert stack.runs == [run]


def test_a_job_that_was_put_back_into_the_queue_goes_on(stack: Stack) -> None:
    with waiting(stack, *SUBMIT, "--suite", "patience", "--fresh") as client:
        (run,) = stack.runs
        stack.slurm.ask("scontrol", "requeue", "1")
        until(lambda: "JobState=PENDING" in stack.slurm.ask("scontrol", "show", "job", "1"))
        (stack.store / "runs/go").touch()
        time.sleep(2)  # Slurm would wait two minutes; within the same second nodes refuse the job
        stack.slurm.ask("scontrol", "update", "JobId=1", "StartTime=now")
        out, err = client.communicate(timeout=180)

    assert client.returncode == 0, out + err
    assert f"going on in {run}" in err
    assert stack.runs == [run]
    assert [record["case"] for record in stack.records(run)] == [
        *("first.none-1.module", WAITING, "last.torchrun-2.module")
    ]


@pytest.mark.long
@pytest.mark.skipif(OPENMPI_PYTHON is None, reason="needs STACKWRIGHT_TEST_OPENMPI")
@pytest.mark.skipif(not PMIX.exists(), reason="needs: apt-get install libpmix-dev")
def test_open_mpis_ranks_meet_by_pmix(slurm: Slurm, tmp_path: Path) -> None:
    stack = make_stack(tmp_path, slurm, python=OPENMPI_PYTHON)

    done = stack.run(*SUBMIT, "--suite", "mpi")

    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = stack.runs
    (record,) = stack.records(run)
    assert [rank[0]["host"] for rank in record["ranks"]] == ["nid0001", "nid0002"]


def test_a_job_that_will_never_start_is_told(stack: Stack) -> None:
    client = stack.start(*SUBMIT[:5], "3")
    assert client.stderr is not None

    said = [client.stderr.readline() for _ in range(3)]
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=90)

    assert re.search(r"PENDING \(Partition(Config|NodeLimit)\)", said[1]), (said, out, err)
    assert "won't start as it is: its partition" in said[2]
    assert client.returncode == 130
    assert stack.slurm.ask("squeue", "--noheader") == ""


@pytest.mark.long
def test_a_job_that_slurm_will_never_allow_ends_with_why(stack: Stack) -> None:
    done = stack.run(*SUBMIT[:-1], "2:00:00")  # twice what the partition gives

    assert done.returncode == 4, done.stdout + done.stderr
    assert "would never have started, and is cancelled: PENDING (PartitionTimeLimit)" in done.stderr
    assert "hint: its partition gives less time: see --time, --partition" in done.stderr
    assert stack.slurm.ask("squeue", "--noheader") == ""
