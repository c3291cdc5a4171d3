"""The distributed algorithms: what the library promises beside its results.

That every check of the case fails for faults in what it is about is shown by tests/mutants.
"""

from __future__ import annotations

from pathlib import Path

from payload_runs import STACK_PYTHON, needs_stack, run_case, run_python

pytestmark = needs_stack

CASE = "distributed_algorithms"


def test_launcher_of_another_mpi_shows(tmp_path: Path) -> None:
    run = run_case("torchrun", CASE, "--backend", "mpi", out=tmp_path / "out")

    assert run.failed() == {"world_size"}


def test_two_ranks_cannot_tell_whether_places_on_nodes_are_joined_rightly(tmp_path: Path) -> None:
    """Hence the case of four ranks, which catches this fault."""
    run = run_case(
        *("torchrun", CASE, "--backend", "gloo"),
        out=tmp_path / "out",
        fault="network_joins_wrong_places",
    )

    assert run.finished(), run.output
    assert run.failed() == set()


# --- what the library promises beside its results -----------------------------------------------

NODES_THAT_DO_NOT_FILL = """
from types import SimpleNamespace
from algorithms import split_nodes
split_nodes(SimpleNamespace(rank=0, size=6), per_node=4)
"""
CORNERS = """
import math, torch
import torch.distributed as dist
from algorithms import compressed_mean
from communicators import TorchCommunicator
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
comm = TorchCommunicator()
given = {"zero": 0.0, "smallest": 2.0**-112, "largest": 2.0**127}
for dtype in (torch.float16, torch.bfloat16):
    for name, value in given.items():
        got = compressed_mean(comm, torch.tensor([value, 0.0, -value]), dtype).tolist()
        assert got == [value, 0.0, -value], (name, dtype, got)
    assert math.isinf(compressed_mean(comm, torch.tensor([math.inf, 1.0]), dtype)[0])
dist.destroy_process_group()
print("held")
"""


def test_nodes_that_do_not_fill_are_refused(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", NODES_THAT_DO_NOT_FILL], tmp_path / "out")

    assert "ValueError: 6 ranks do not fill nodes of 4 ranks" in run.output


def test_compression_holds_from_the_smallest_to_the_largest_number(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", CORNERS], tmp_path / "out")

    assert run.output == "held\n"
