"""The distributed algorithms: every check of the case fails for faults in what it is about.

Faults are in the stack's collectives, or in the algorithms themselves: the serial definitions must
not share them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import CASES, STACK_PYTHON, needs_stack, run_case, run_python

pytestmark = needs_stack

CASE = "distributed_algorithms"
COMPRESSED = {"compressed_float16", "compressed_bfloat16"}

# --- faults of the stack ------------------------------------------------------------------------

RANK_LEFT_OUT_BETWEEN_NODES = """
import torch.distributed as dist
whole = dist.all_reduce
def all_reduce(tensor, *args, group=None, **kwargs):
    if group is not None and dist.get_rank() == 1:
        tensor.zero_()
    return whole(tensor, *args, group=group, **kwargs)
dist.all_reduce = all_reduce
"""
PIECES_JOINED_IN_WRONG_ORDER = """
import torch.distributed as dist
whole = dist.all_gather
def all_gather(parts, mine, **kwargs):
    return whole(parts[::-1], mine, **kwargs)
dist.all_gather = all_gather
"""
PIECE_SENT_TO_WRONG_RANK = """
import torch.distributed as dist
whole = dist.all_to_all_single
def all_to_all_single(result, mine, **kwargs):
    return whole(result, mine.roll(len(mine) // dist.get_world_size()), **kwargs)
dist.all_to_all_single = all_to_all_single
"""
RANK_IN_LOW_PRECISION = """
import torch
import torch.distributed as dist
whole = dist.all_reduce
def all_reduce(tensor, *args, **kwargs):
    if dist.get_rank() == 1 and tensor.dtype == torch.float64:
        tensor.copy_(tensor.float())
    return whole(tensor, *args, **kwargs)
dist.all_reduce = all_reduce
"""
RANK_LEFT_OUT_OF_MPI_IALLREDUCE = """
import os
if os.environ.get("PMI_RANK"):
    from mpi4py import MPI
    class World(MPI.Intracomm):
        def Iallreduce(self, sent, received, op=MPI.SUM):
            if self.Get_rank() == 1:
                sent[:] = 0
            return super().Iallreduce(sent, received, op=op)
    MPI.COMM_WORLD = World(MPI.COMM_WORLD)
"""
TRAINED = {"accumulated_mean", "gradient_lag", "larc", "lamb", "dc_s3gd"}


@pytest.mark.parametrize(
    ("backend", "fault", "failed"),
    [
        pytest.param(
            *("gloo", RANK_LEFT_OUT_BETWEEN_NODES, {"hierarchical_allreduce"}),
            id="rank left out between nodes",
        ),
        pytest.param(
            *("gloo", PIECES_JOINED_IN_WRONG_ORDER, {"hierarchical_allreduce", *COMPRESSED}),
            id="pieces joined in wrong order",
        ),
        pytest.param(
            *("gloo", PIECE_SENT_TO_WRONG_RANK, COMPRESSED), id="piece sent to wrong rank"
        ),
        pytest.param(*("gloo", RANK_IN_LOW_PRECISION, TRAINED), id="rank in low precision"),
        pytest.param(*("mpi", RANK_LEFT_OUT_OF_MPI_IALLREDUCE, TRAINED), id="rank left out of MPI"),
    ],
)
def test_wrong_collective_shows(backend: str, fault: str, failed: set[str], tmp_path: Path) -> None:
    run = run_case("mpirun", CASE, "--backend", backend, out=tmp_path / "out", fault=fault)

    assert run.finished(), run.output
    assert run.failed() == failed


def test_launcher_of_another_mpi_shows(tmp_path: Path) -> None:
    run = run_case("torchrun", CASE, "--backend", "mpi", out=tmp_path / "out")

    assert run.failed() == {"world_size"}


# --- faults of the algorithms -------------------------------------------------------------------

IMPORTS = f"""
import sys
sys.path.insert(0, {str(CASES)!r})
import torch, algorithms, stale_gradients
"""
SUM_FOR_MEAN = """
algorithms.mean_over_ranks = lambda comm, mine: comm.start_allreduce(mine).wait()
"""
OWN_GRADIENT_FOR_MEAN = "algorithms.mean_over_ranks = lambda comm, mine: mine"
MEAN_OF_MEANS = """
def accumulated_mean(comm, parts):
    means = [mean for mean, _ in parts]
    return algorithms.mean_over_ranks(comm, sum(means) / len(means))
algorithms.accumulated_mean = accumulated_mean
"""
LAG_OF = """
whole = stale_gradients.LaggedMean
stale_gradients.LaggedMean = lambda comm, lag: whole(comm, lag={})
"""
LAGGED_SUM = """
def _next(self):
    return self._pending.popleft().wait()
stale_gradients.LaggedMean._next = _next
"""
LARC_WITHOUT_TRUST_RATIO = """
algorithms.larc_step = lambda w, g, rate, trust, decay: w - rate * (g + decay * w)
"""
LARC_WITHOUT_LIMIT = """
whole = algorithms.larc_step
algorithms.larc_step = lambda w, g, rate, trust, decay: whole(
    w, g, rate if not w.any() else 1e9, trust, decay
)
"""
LARC_THAT_FREEZES_ZEROS = """
whole = algorithms.larc_step
algorithms.larc_step = lambda w, *rest: whole(w, *rest) if w.any() else w
"""
LAMB_WITHOUT_TRUST_RATIO = """
whole = algorithms.lamb_step
def lamb_step(weights, gradient, moments, rate, *rest):
    moved, after = whole(weights, gradient, moments, rate, *rest)
    update = moved - weights
    return weights + update * rate / update.norm(), after
algorithms.lamb_step = lamb_step
"""
LAMB_WITHOUT_BIAS_CORRECTION = """
whole = algorithms.lamb_step
algorithms.lamb_step = lambda w, g, moments, *rest: whole(
    w, g, moments._replace(steps=10**6), *rest
)
"""
NOT_COMPENSATED = "stale_gradients.compensate = lambda gradient, distance, strength: gradient"
COMPENSATED_BACKWARDS = """
whole = stale_gradients.compensate
stale_gradients.compensate = lambda g, distance, strength: whole(g, -distance, strength)
"""
DISTANCE_TO_SUM = """
whole = stale_gradients.DelayCompensatedSgd._distance
def _distance(self):
    pending = self._pending
    return whole(self) if pending is None else pending.wait() - self._update
stale_gradients.DelayCompensatedSgd._distance = _distance
"""
COMPRESSED_WITHOUT_SCALE = """
algorithms.common_exponent = lambda comm, mine: torch.zeros(1, dtype=torch.int32)
"""
WRONG_FORMAT = """
whole = algorithms.compressed_mean
algorithms.compressed_mean = lambda comm, mine, dtype: whole(comm, mine, torch.bfloat16)
"""
OTHER_BITS_ON_ONE_RANK = """
whole = algorithms.compressed_mean
def compressed_mean(comm, mine, dtype):
    mean = whole(comm, mine, dtype)
    return mean * (1 + comm.rank * torch.finfo(mean.dtype).eps)
algorithms.compressed_mean = compressed_mean
"""


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        pytest.param(SUM_FOR_MEAN, {"larc", "lamb"}, id="sum for mean"),
        pytest.param(OWN_GRADIENT_FOR_MEAN, {"larc", "lamb"}, id="own gradient for mean"),
        pytest.param(MEAN_OF_MEANS, {"accumulated_mean"}, id="mean of means"),
        pytest.param(LAG_OF.format(2), {"gradient_lag"}, id="stale by two"),
        pytest.param(LAG_OF.format(0), {"gradient_lag"}, id="not stale"),
        pytest.param(LAGGED_SUM, {"gradient_lag"}, id="lagged sum for mean"),
        pytest.param(LARC_WITHOUT_TRUST_RATIO, {"larc"}, id="LARC without trust ratio"),
        pytest.param(LARC_WITHOUT_LIMIT, {"larc"}, id="LARC without limit"),
        pytest.param(LARC_THAT_FREEZES_ZEROS, {"larc"}, id="LARC that freezes zeros"),
        pytest.param(LAMB_WITHOUT_TRUST_RATIO, {"lamb"}, id="LAMB without trust ratio"),
        pytest.param(LAMB_WITHOUT_BIAS_CORRECTION, {"lamb"}, id="LAMB without bias correction"),
        pytest.param(NOT_COMPENSATED, {"dc_s3gd"}, id="not compensated"),
        pytest.param(COMPENSATED_BACKWARDS, {"dc_s3gd"}, id="compensated backwards"),
        pytest.param(DISTANCE_TO_SUM, {"dc_s3gd"}, id="distance to sum"),
        pytest.param(COMPRESSED_WITHOUT_SCALE, {"compressed_float16"}, id="without scale"),
        pytest.param(WRONG_FORMAT, {"compressed_float16"}, id="wrong format"),
        pytest.param(OTHER_BITS_ON_ONE_RANK, COMPRESSED, id="other bits on one rank"),
    ],
)
def test_wrong_algorithm_shows(fault: str, failed: set[str], tmp_path: Path) -> None:
    run = run_case(
        *("mpirun", CASE, "--backend", "gloo"), out=tmp_path / "out", fault=IMPORTS + fault
    )

    assert run.finished(), run.output
    assert run.failed() == failed


# Right for one node, and for nodes of one rank: only a true hierarchy tells.
NETWORK_JOINS_WRONG_PLACES = """
def split_nodes(world, per_node):
    node, place = divmod(world.rank, per_node)
    return world.split(node), world.split((node + place) % per_node)
algorithms.split_nodes = split_nodes
"""


@pytest.mark.parametrize(("ranks", "failed"), [(2, set()), (4, {"hierarchical_allreduce"})])
def test_wrong_places_on_nodes_show_with_four_ranks(
    ranks: int, failed: set[str], tmp_path: Path
) -> None:
    run = run_case(
        *("mpirun", CASE, "--backend", "gloo"),
        out=tmp_path / "out",
        fault=IMPORTS + NETWORK_JOINS_WRONG_PLACES,
        ranks=ranks,
    )

    assert run.finished(), run.output
    assert run.failed() == failed


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
print("held")
"""


def test_nodes_that_do_not_fill_are_refused(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", NODES_THAT_DO_NOT_FILL], tmp_path / "out")

    assert "ValueError: 6 ranks do not fill nodes of 4 ranks" in run.output


def test_compression_holds_from_the_smallest_to_the_largest_number(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", CORNERS], tmp_path / "out")

    assert run.output == "held\n"
