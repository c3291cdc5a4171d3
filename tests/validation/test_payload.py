"""Every case on the real stack: passes on a healthy one, and fails for each injected fault.

A fault is Python that runs in every process before the case (as sitecustomize), so the script
under test is the very one that certifies.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from payload_runs import STACK_PYTHON, VALIDATION, needs_stack, run_case, run_python

from stackwright.validation.suites import ConcreteCase, expand, load_suite

pytestmark = needs_stack

VERSIONS = "import importlib.metadata as m; print(f\"torch={m.version('torch')}\")"
# Need minutes, and have tests of their own below.
SLOW_SCRIPTS = {"cosmoflow"}


def concrete_cases() -> list[ConcreteCase]:
    suite = load_suite(VALIDATION / "suites/certify.yaml")
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


def test_missing_probe_binary_says_how_to_build_it(tmp_path: Path) -> None:
    run = run_case("none", "compute", "--threads", "1", out=tmp_path / "out")

    assert not run.finished()
    assert "STACKWRIGHT_ROOFLINE is not set: build it with 'cc" in run.output


# --- cosmoflow ----------------------------------------------------------------------------------

SPECTRUM = """
import json
import numpy as np
from cosmoflow_data import density_cube, physical, pivot, power_spectrum
rng = np.random.default_rng(5)
gaussian = np.array([0.4, -0.6, 0.0])
cells = 16
cubes = [density_cube(gaussian, cells, rng) for _ in range(200)]
# The mean ln k of each shell; the first is too wide, against its k, for a power law's mean.
axis = np.fft.fftfreq(cells, 1 / cells)
modes = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
shells = [modes[np.rint(modes) == shell] for shell in range(1, cells // 2 + 1)]
log_k = np.array([np.log(shell / pivot(cells)).mean() for shell in shells])
spectrum = np.mean([power_spectrum(cube) for cube in cubes], axis=0)
tilt, log_amplitude = np.polyfit(log_k[1:], np.log(spectrum[1:]), 1)
def skewness(f):
    x = np.concatenate([density_cube(np.array([0, 0, f]), cells, rng).ravel() for _ in range(50)])
    return float(np.mean(x**3) / np.mean(x**2) ** 1.5)
print(json.dumps({
    "true": physical(gaussian)[:2].tolist(),
    "found": [log_amplitude, tilt],
    "white": power_spectrum(rng.standard_normal((cells,) * 3)).mean(),
    "skewness": [skewness(f) for f in (-1.0, 0.0, 1.0)],
}))
"""


def test_cubes_have_the_spectrum_and_skewness_of_their_labels(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", SPECTRUM], tmp_path / "out")

    found = json.loads(run.output)
    assert found["found"] == pytest.approx(found["true"], abs=0.03)
    assert found["white"] == pytest.approx(1, abs=0.1)
    negative, zero, positive = found["skewness"]
    assert negative < -0.5
    assert abs(zero) < 0.1
    assert positive > 0.5


SHARDS = """
import numpy as np
from cosmoflow_data import samples
whole, labels = samples(3, range(4), 8, channels=2)
odd, odd_labels = samples(3, range(1, 4, 2), 8, channels=2)
assert whole.shape == (4, 2, 8, 8, 8) and labels.shape == (4, 3)
assert np.array_equal(whole[1::2], odd) and np.array_equal(labels[1::2], odd_labels)
assert not np.array_equal(whole[0], whole[1])
assert not np.array_equal(whole[0, 0], whole[0, 1])
assert not np.array_equal(whole, samples(4, range(4), 8, channels=2)[0])
"""


def test_samples_depend_on_seed_and_index_only(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", SHARDS], tmp_path / "out")

    assert run.exit == 0, run.output


FULL_SIZE = """
import torch
from cosmoflow import SCALES
from cosmoflow_model import CosmoFlow
shape = SCALES["full"].shape
with torch.device("meta"):
    cubes = torch.empty(1, shape.channels, shape.cells, shape.cells, shape.cells)
    model = CosmoFlow(shape)
    print(shape.blocks, tuple(model(cubes).shape), model.dense[1].in_features)
"""


def test_full_size_network_is_that_of_the_benchmark(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", FULL_SIZE], tmp_path / "out")

    assert run.output.split("\n")[0] == "5 (1, 3) 16384"


TRAIN = """
from dataclasses import replace
import numpy as np
import cosmoflow
from emit import Emitter
config = cosmoflow.SCALES["small"]
{change}
with Emitter() as out:
    cosmoflow.run(out, config, [1])
"""
SHUFFLED_LABELS = """
true_samples = cosmoflow.samples
def samples(seed, indices, *shape):
    cubes, labels = true_samples(seed, indices, *shape)
    if len(labels) <= config.batch:
        labels = np.random.default_rng([seed, *indices]).uniform(-1, 1, labels.shape)
    return cubes, labels.astype(np.float32)
cosmoflow.samples = samples
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "holds"),
    [
        pytest.param("", True, id="healthy"),
        pytest.param("config = replace(config, learning_rate=0.0)", False, id="learns nothing"),
        pytest.param("config = replace(config, learning_rate=50.0)", False, id="diverges"),
        pytest.param(SHUFFLED_LABELS, False, id="shuffled labels"),
    ],
)
def test_only_a_model_that_learns_meets_the_criterion(
    change: str, holds: bool, tmp_path: Path
) -> None:
    program = TRAIN.format(change=change)

    run = run_python([str(STACK_PYTHON), "-c", program], tmp_path / "out")

    assert run.finished(), run.output
    # A regression on the same wrong labels may be worse still, so the other check need not fail.
    assert run.checks()["half_of_trivial"] is holds
    assert all(run.checks().values()) is holds
    curve = run.values("series")["learning curve"]
    assert set(curve["y"]) == {"cosmoflow", "trivial", "power spectrum"}


BATCH_THAT_DOES_NOT_DIVIDE = """
import cosmoflow
cosmoflow.train(cosmoflow.SCALES["small"], 1, 0, 3)
"""


def test_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", BATCH_THAT_DOES_NOT_DIVIDE], tmp_path / "out")

    assert "a batch of 16 does not divide by 3 ranks" in run.output
