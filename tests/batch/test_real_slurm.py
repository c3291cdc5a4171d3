"""The suite over two nodes of a real Slurm, and what happens to it there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from build_samples import LABEL
from slurm_samples import Stack

pytestmark = pytest.mark.real

SUBMIT = ("validate", LABEL, "--launcher", "slurm", "-N", "2", "--time", "10")
WAITING = "waiting.torchrun-2.module"


def test_the_suite_runs_over_two_nodes(stack: Stack) -> None:
    done = stack.run(*SUBMIT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS {LABEL}" in done.stdout
    (run,) = stack.runs
    job = json.loads((run / "job.json").read_bytes())
    assert (job["launcher"], job["host"]["nodes"]) == ("srun", ["nid0001", "nid0002"])
    records = stack.records(run)
    hosts = {record["case"]: [rank[0]["host"] for rank in record["ranks"]] for record in records}
    assert hosts == {
        "alone.none-1.module": ["nid0001"],
        "torch.torchrun-2.module": ["nid0001", "nid0002"],
        "mpi.mpirun-2.module": ["nid0001", "nid0002"],
    }


def test_a_node_that_dies_is_never_a_pass(stack: Stack) -> None:
    with waiting(stack) as client:
        slurmd = stack.slurm.pid("nid0002")
        for pid in (slurmd, *children(slurmd)):
            os.kill(pid, signal.SIGKILL)
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


def test_ctrl_c_cancels_the_job_and_the_next_one_goes_on(stack: Stack) -> None:
    with waiting(stack) as client:
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
    with waiting(stack, "--fresh") as client:
        (run,) = stack.runs
        stack.slurm.ask("scontrol", "requeue", "1")
        until(lambda: "JobState=PENDING" in stack.slurm.ask("scontrol", "show", "job", "1"))
        (stack.store / "runs/go").touch()
        stack.slurm.ask("scontrol", "update", "JobId=1", "StartTime=now")
        out, err = client.communicate(timeout=180)

    assert client.returncode == 0, out + err
    assert f"going on in {run}" in err
    assert stack.runs == [run]
    assert [record["case"] for record in stack.records(run)] == [
        *("first.none-1.module", WAITING, "last.torchrun-2.module")
    ]


@contextmanager
def waiting(stack: Stack, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A validation that was submitted, while its ranks wait on both nodes."""
    client = stack.start(*SUBMIT, "--suite", "patience", *options)
    try:
        until(lambda: client.poll() is not None or len(begun(stack)) == 2)
        assert client.poll() is None, client.communicate()
        yield client
    finally:
        client.kill()
        client.wait()


def begun(stack: Stack) -> list[Path]:
    """The files of the ranks that wait; the case before them has one rank."""
    return [
        path for path in (stack.store / "runs").glob("*/out/*/rank-*.jsonl") if path.read_text()
    ]


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """The processes that a daemon has started, with all that these have started."""
    table = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        table[int(path.parent.name)] = int(fields[1])
    found = [child for child, parent in table.items() if parent == pid]
    return [*found, *(below for child in found for below in children(child))]
