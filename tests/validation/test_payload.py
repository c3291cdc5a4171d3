"""Every case on the real stack: passes on a healthy one, and fails for each injected fault.

A fault is Python that runs in every process before the case (as sitecustomize), so the script
under test is the very one that certifies.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from payload_runs import STACK_PYTHON, VALIDATION, needs_stack, run_case, run_python

from stackwright.validation.suites import ConcreteCase, expand, load_suite

pytestmark = needs_stack

VERSIONS = "import importlib.metadata as m; print(f\"torch={m.version('torch')}\")"
# Need minutes, and have tests of their own: test_science.py.
SLOW_SCRIPTS = {
    *("climate_deeplab", "climate_tiramisu", "cosmoflow", "etalumis", "hepcnn"),
    *("icecube_gnn", "pigan", "tracking_gnn"),
}


def concrete_cases() -> list[ConcreteCase]:
    suite = load_suite(VALIDATION / "suites/science.yaml")
    return [c for c in expand(suite, {"VERSIONS": "@OUT@"}) if c.channel == "image"]


@pytest.fixture(scope="module")
def versions() -> str:
    done = subprocess.run(
        [str(STACK_PYTHON), "-c", VERSIONS], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def roofline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("install a C compiler named cc, such as Debian's gcc with libc6-dev")
    binary = tmp_path_factory.mktemp("roofline") / "roofline"
    flags = ["-O3", "-march=native", "-static", "-pthread"]
    subprocess.run(["cc", *flags, "-o", binary, VALIDATION / "probes/roofline.c"], check=True)
    return binary


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [c for c in concrete_cases() if c.script not in SLOW_SCRIPTS],
    ids=lambda case: case.id,
)
def test_case_reports_what_its_suite_names(
    case: ConcreteCase, tmp_path: Path, versions: str, roofline: Path
) -> None:
    threads = str(case.launch.threads)
    run = run_case(
        case.launch.launcher,
        case.script,
        *(arg.replace("@OUT@", versions) for arg in case.args),
        out=tmp_path / "out",
        env={
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "STACKWRIGHT_ROOFLINE": str(roofline),
        },
        ranks=case.launch.ranks,
    )

    assert run.finished(), run.output
    assert len(run.ranks) == case.launch.ranks
    assert {line["world"] for rank in run.ranks for line in rank[:1]} == {case.launch.ranks}
    # A bare environment has no manifest, so there identity must fail; nothing else may.
    assert run.failed() == ({"tree_hash"} if case.script == "identity" else set())
    assert set(run.checks()) == set(case.checks)
    assert {n: m["unit"] for n, m in run.values("metric").items()} == {
        m.name: m.unit for m in case.metrics
    }
    assert set(run.values("probe")) == {m.roofline for m in case.metrics}


# --- faults that the collectives must show ------------------------------------------------------

RANK_LEFT_OUT_OF_ALLREDUCE = """
import os
import torch.distributed as dist
whole = dist.all_reduce
def all_reduce(tensor, *args, **kwargs):
    if os.environ.get("RANK") == "1":
        tensor.zero_()
    return whole(tensor, *args, **kwargs)
dist.all_reduce = all_reduce
"""
ONE_WRONG_ELEMENT_IN_LARGE_BROADCASTS = """
import os
import torch.distributed as dist
whole = dist.broadcast
def broadcast(tensor, *args, **kwargs):
    whole(tensor, *args, **kwargs)
    if os.environ.get("RANK") == "0" and tensor.numel() > 65537:
        tensor[-1] += 1
dist.broadcast = broadcast
"""
RANK_LEFT_OUT_OF_MPI_ALLREDUCE = """
import os
if os.environ.get("PMI_RANK"):
    from mpi4py import MPI
    class World(MPI.Intracomm):
        def Allreduce(self, sent, received, op=MPI.SUM):
            mine = sent if self.Get_rank() == 0 else 0 * sent
            super().Allreduce(mine, received, op=op)
    MPI.COMM_WORLD = World(MPI.COMM_WORLD)
"""


@pytest.mark.parametrize(
    ("launcher", "backend", "fault", "failed"),
    [
        ("torchrun", "gloo", RANK_LEFT_OUT_OF_ALLREDUCE, {"allreduce_sum", "allreduce_max"}),
        ("torchrun", "gloo", ONE_WRONG_ELEMENT_IN_LARGE_BROADCASTS, {"broadcast"}),
        ("mpirun", "mpi", RANK_LEFT_OUT_OF_MPI_ALLREDUCE, {"allreduce_sum", "allreduce_max"}),
    ],
)
def test_wrong_collective_shows(
    launcher: str, backend: str, fault: str, failed: set[str], tmp_path: Path
) -> None:
    run = run_case(launcher, "collectives", "--backend", backend, out=tmp_path / "out", fault=fault)

    assert failed <= run.failed() <= failed | {"allreduce_min"}, run.output


def test_launcher_of_another_mpi_shows(tmp_path: Path) -> None:
    run = run_case("torchrun", "collectives", "--backend", "mpi", out=tmp_path / "out")

    assert run.failed() == {"world_size"}


# --- faults that the gradients must show --------------------------------------------------------

DDP_WITH_HOOK = """
import os
import torch
import torch.distributed as dist
from torch.nn.parallel import distributed
class Faulty(distributed.DistributedDataParallel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_comm_hook(None, hook)
torch.nn.parallel.DistributedDataParallel = Faulty
def reduced(buffer, scale):
    future = dist.all_reduce(buffer, async_op=True).get_future()
    return future.then(lambda done: done.value()[0] * scale)
"""
SUM_FOR_MEAN = """
def hook(state, bucket):
    return reduced(bucket.buffer(), 1)
"""
RANK_LEFT_OUT = """
def hook(state, bucket):
    scale = 1 / dist.get_world_size()
    return reduced(bucket.buffer() * (dist.get_rank() == 0), scale)
"""
RANK_IN_LOW_PRECISION = """
def hook(state, bucket):
    buffer = bucket.buffer()
    if dist.get_rank() == 1:
        buffer = buffer.bfloat16().to(buffer.dtype)
    return reduced(buffer, 1 / dist.get_world_size())
"""
NOTHING_REDUCED = """
def hook(state, bucket):
    future = torch.futures.Future()
    future.set_result(bucket.buffer())
    return future
"""
SAME_SHARD_FOR_ALL = """
from torch.utils import data
class Same(data.DistributedSampler):
    def __init__(self, dataset, world, rank, **kwargs):
        super().__init__(dataset, world, 0, **kwargs)
data.DistributedSampler = Same
"""
RANDOM_SEEDS = """
import torch
torch.manual_seed = lambda seed: torch.seed()
"""


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        pytest.param(DDP_WITH_HOOK + SUM_FOR_MEAN, {"mean_gradient_float64"}, id="sum for mean"),
        pytest.param(DDP_WITH_HOOK + RANK_LEFT_OUT, {"mean_gradient_float64"}, id="rank left out"),
        pytest.param(
            DDP_WITH_HOOK + RANK_IN_LOW_PRECISION, {"mean_gradient_float32"}, id="low precision"
        ),
        pytest.param(
            DDP_WITH_HOOK + NOTHING_REDUCED,
            {"mean_gradient_float64", "equal_parameters"},
            id="nothing reduced",
        ),
        pytest.param(SAME_SHARD_FOR_ALL, {"shards"}, id="same shard"),
        pytest.param(RANDOM_SEEDS, {"repeatable"}, id="random seeds"),
    ],
)
def test_wrong_training_shows(fault: str, failed: set[str], tmp_path: Path) -> None:
    run = run_case("torchrun", "gradients", out=tmp_path / "out", fault=fault)

    assert run.finished(), run.output
    assert failed <= run.failed()


# --- faults of one rank -------------------------------------------------------------------------

MOMENTUM_FORGOTTEN = """
import torch
whole = torch.load
def load(*args, **kwargs):
    state = whole(*args, **kwargs)
    state["optimizer"]["state"].clear()
    return state
torch.load = load
"""
RANDOM_STATE_FORGOTTEN = "import torch\ntorch.set_rng_state = lambda state: None\n"


@pytest.mark.parametrize("fault", [MOMENTUM_FORGOTTEN, RANDOM_STATE_FORGOTTEN])
def test_incomplete_checkpoint_shows(fault: str, tmp_path: Path) -> None:
    run = run_case("none", "resume", out=tmp_path / "out", fault=fault)

    assert run.failed() == {"resume_bitwise"}


@pytest.mark.parametrize("expected", ["torch=0.4.1", "not-installed=1.0"])
def test_wrong_version_shows(expected: str, tmp_path: Path) -> None:
    run = run_case("none", "imports", "--expect", expected, out=tmp_path / "out")

    assert run.failed() == {"versions"}


def test_module_from_elsewhere_shows(tmp_path: Path, versions: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(VALIDATION / "cases", elsewhere)
    (elsewhere / "h5py.py").touch()

    run = run_python(
        [str(STACK_PYTHON), str(elsewhere / "imports.py"), "--expect", versions], tmp_path / "out"
    )

    assert run.failed() == {"inside_prefix"}


USER_SITE_FIRST = """
import os, site, sys, sysconfig
site.ENABLE_USER_SITE = True
base = os.environ.get("PYTHONUSERBASE", "")
sys.path.insert(0, sysconfig.get_path("purelib", "posix_user", vars={"userbase": base}))
"""


def test_user_site_shows(tmp_path: Path, versions: str) -> None:
    run = run_case(
        "none", "imports", "--expect", versions, out=tmp_path / "out", fault=USER_SITE_FIRST
    )

    assert run.failed() == {"user_site_off", "user_decoy_ignored"}


def test_second_openmp_runtime_shows(tmp_path: Path, versions: str) -> None:
    # A copy under another runtime's name, as a second wheel would bring it. Loaded before torch it
    # would serve torch too, and be the only one.
    finder = "import torch, pathlib; print(*pathlib.Path(torch.__file__).parent.rglob('libgomp*'))"
    found = run_python([str(STACK_PYTHON), "-c", finder], tmp_path / "find").output.split()[0]
    copy = tmp_path / "libiomp5.so"
    shutil.copy(found, copy)

    run = run_case(
        *("none", "imports", "--expect", versions),
        out=tmp_path / "out",
        fault=f"import ctypes, torch\nctypes.CDLL({str(copy)!r})\n",
    )

    assert run.failed() == {"one_openmp_runtime"}


def test_ranks_that_share_a_cpu_show(tmp_path: Path) -> None:
    run = run_case("torchrun", "threads", "--threads", "1", out=tmp_path / "out", cpus=1)

    assert run.failed() == {"not_oversubscribed"}


def test_missing_cpus_and_threads_show(tmp_path: Path) -> None:
    run = run_case("none", "threads", "--threads", "2", out=tmp_path / "out", cpus=1)

    assert run.failed() == {
        "affinity",
        "thread_count",
        "not_oversubscribed",
        "parallel_region",
    }


LOW_PRECISION_GEMM = """
import torch
whole = torch.mm
def mm(a, b, out):
    return out.copy_(whole(a.bfloat16(), b.bfloat16()))
torch.mm = mm
"""


def test_gemm_in_low_precision_shows(tmp_path: Path, roofline: Path) -> None:
    env = {"STACKWRIGHT_ROOFLINE": str(roofline)}

    run = run_case(
        *("none", "compute", "--threads", "1"),
        out=tmp_path / "out",
        env=env,
        fault=LOW_PRECISION_GEMM,
    )

    assert run.failed() == {"results_verified"}


CONVOLUTIONS_IN_BFLOAT16 = """
import torch
whole = torch.nn.Conv2d._conv_forward
def forward(self, images, weight, bias):
    return whole(self, images.bfloat16(), weight.bfloat16(), bias).to(images.dtype)
torch.nn.Conv2d._conv_forward = forward
"""
LOSS_SCALED = """
import torch
whole = torch.nn.functional.cross_entropy
torch.nn.functional.cross_entropy = lambda *args: 1.000001 * whole(*args)
"""


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (
            CONVOLUTIONS_IN_BFLOAT16,
            {"forward_float64", "backward_float64", "forward_float32", "backward_float32"},
        ),
        (LOSS_SCALED, {"backward_float64"}),
    ],
)
def test_other_resnet_than_the_stock_builds_shows(
    fault: str, failed: set[str], tmp_path: Path
) -> None:
    run = run_case("none", "resnet50", out=tmp_path / "out", fault=fault)

    assert run.finished(), run.output
    assert run.failed() == failed


def test_missing_probe_binary_says_how_to_build_it(tmp_path: Path) -> None:
    run = run_case("none", "compute", "--threads", "1", out=tmp_path / "out")

    assert not run.finished()
    assert "STACKWRIGHT_ROOFLINE is not set: build it with 'cc" in run.output
