"""Two nodes in networks of their own: the interface that ranks take, and a cut between them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm_samples import Slurm, Stack, both_begun, make_stack, two_nodes, until
from test_real_slurm import SUBMIT

pytestmark = [pytest.mark.real, pytest.mark.long]

BITS_A_SECOND = 200_000_000
FABRIC = """\
fabric: {name: ethernet, provider: tcp, interfaces: [hsn0]}
environment:
  - {name: UCX_TLS, value: "tcp,self", own: true, why: MPI would find that nodes share memory.}
"""
TIMED, BROKEN = "timed.torchrun-2.module", "broken.torchrun-2.module"


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    if any(shutil.which(name) is None for name in ("ip", "tc", "nsenter")):
        pytest.skip("needs: apt-get install iproute2")
    yield from two_nodes(tmp_path / "slurm", "--link", f"{BITS_A_SECOND}bit", "--delay", "1ms")


@pytest.fixture
def stack(slurm: Slurm, tmp_path: Path) -> Stack:
    return make_stack(tmp_path, slurm, FABRIC)


def spaces(slurm: Slurm) -> list[str]:
    return (slurm.folder / "network").read_text().split()[1:]


def sent(slurm: Slurm, interface: str) -> int:
    """Bytes that the second node has sent by an interface."""
    said = slurm.ask("ip", "-n", spaces(slurm)[1], "-json", "-stats", "link", "show", interface)
    return int(json.loads(said)[0]["stats64"]["tx"]["bytes"])


def info(record: dict[str, Any], name: str) -> Any:
    return next(line["value"] for line in record["ranks"][0] if line.get("name") == name)


def test_ranks_cross_the_fabric_and_a_cut_ends_in_hung_with_their_stacks(stack: Stack) -> None:
    client = stack.start(*SUBMIT, "--suite", "crossing")
    try:
        until(lambda: client.poll() is not None or finished(stack) == 2, 120)
        assert client.poll() is None, client.communicate()
        by_fabric, by_control = sent(stack.slurm, "hsn0"), sent(stack.slurm, "ctl0")
        until(lambda: both_begun(stack, BROKEN))
        until(lambda: sent(stack.slurm, "hsn0") > by_fabric + (1 << 23))
        second = spaces(stack.slurm)[1]
        subprocess.run(["ip", "-n", second, "link", "set", "hsn0", "down"], check=True)
        out, err = client.communicate(timeout=180)
    finally:
        client.kill()
        client.wait()

    (run,) = stack.runs
    records = {record["case"]: record for record in stack.records(run)}
    assert info(records[TIMED], "told") == {
        "GLOO_SOCKET_IFNAME": "hsn0",
        "UCX_NET_DEVICES": "hsn0",
    }
    # Each rank sends half of its array and half of the sum: as many bytes as the array has.
    assert info(records[TIMED], "bytes a second") < 1.2 * BITS_A_SECOND / 8
    # Nine such sums; MPI's messages after them have no other way.
    assert by_fabric > 9 * (1 << 22)
    assert by_control < 1 << 22

    assert client.returncode == 4, out + err
    verdicts = dict(re.findall(r"^(\S+module) +(\S+)", out, re.MULTILINE))
    assert verdicts == {TIMED: "PASS", "mpi.mpirun-2.module": "PASS", BROKEN: "HUNG"}
    logs = (run / "logs" / BROKEN / "0-candidate").iterdir()
    stacks = [path.read_text() for path in logs if "all_reduce" in path.read_text()]
    assert len(stacks) == 2, "a stack of each rank"
    assert stack.slurm.ask("squeue", "--noheader") == ""


def finished(stack: Stack) -> int:
    return sum(len(stack.records(run)) for run in stack.runs)
