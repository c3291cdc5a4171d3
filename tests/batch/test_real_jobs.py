"""Job scripts as scientists get them, run by a real Slurm: which cores, how many threads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build_samples import LABEL
from slurm_samples import Slurm, Stack, build_again, make_stack, two_nodes

from stackwright import stages
from stackwright.cli import main

pytestmark = pytest.mark.real

SMALL = """
name: smoke
summary: The least that can be certified
cases:
  - name: alone
    script: patience
    launches: [{launcher: none, ranks: 1, threads: 1}]
    channels: [module]
    timeout_s: 60
    checks: [placed]
"""

TRAIN = """
import json, os
import numpy, torch, torch.distributed as dist
from mpi4py import MPI
from threadpoolctl import threadpool_info

dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
seen = {
    "rank": dist.get_rank(),
    "world": dist.get_world_size(),
    "sum": int(total),
    "mpi_world": MPI.COMM_WORLD.size,
    "local_rank": int(os.environ["LOCAL_RANK"]),
    "node": os.environ["SLURMD_NODENAME"],
    "cpus": sorted(os.sched_getaffinity(0)),
    "omp": os.environ["OMP_NUM_THREADS"],
    "torch": torch.get_num_threads(),
    "pools": [pool["num_threads"] for pool in threadpool_info()],
    "prefix": os.sys.prefix,
}
with open(f"rank-{seen['rank']}.json", "w") as file:
    json.dump(seen, file)
dist.barrier()
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    yield from two_nodes(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="module")
def built(cluster: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A label that is not released, on a system that asks its users for nothing."""
    return make_stack(tmp_path_factory.mktemp("stack"), cluster)


@pytest.fixture(scope="module")
def released(built: Stack) -> Stack:
    """It is released by what was measured on this machine alone."""
    (built.site / "validation/suites/smoke.yaml").write_text(SMALL)
    where = ("--site", str(built.site), "--store", str(built.store))
    with pytest.MonkeyPatch.context() as patch:
        for check in ("check_one_image", "check_image_ran"):  # its image is none
            patch.setattr(stages, check, lambda *_: None)
        for words in (("validate",), ("keys", "create", "release"), ("certify",), ("release",)):
            label = () if words[0] == "keys" else (LABEL,)
            assert main([*where, *words, *label]) == 0
    return built


def test_what_is_not_released_has_no_job(built: Stack) -> None:
    done = built.run("job", LABEL, "--", "python")

    assert done.returncode != 0
    assert "is not released" in done.stderr


@pytest.mark.parametrize(
    ("ranks", "threads", "command"),
    [
        (1, 2, "python"),
        (2, 1, "python"),
        pytest.param(2, 1, "torchrun", marks=pytest.mark.long),
    ],
    ids=["one-a-node", "two-a-node", "torchrun"],
)
def test_every_rank_has_cores_and_threads_of_its_own(
    ranks: int, threads: int, command: str, released: Stack, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    asked = ("-N", "2", f"--ranks-per-node={ranks}", "--time", "5", "--output", "job.log")

    text = released.run("job", LABEL, *asked, "--", command, "train.py").stdout
    seen = run(released, tmp_path, text)

    assert [one["rank"] for one in seen] == [*range(2 * ranks)]
    assert {(one["world"], one["sum"]) for one in seen} == {(2 * ranks, 2 * ranks)}
    # Of torchrun's ranks srun knows nothing: MPI believes that each is alone.
    assert {one["mpi_world"] for one in seen} == {2 * ranks if command == "python" else 1}
    assert [one["local_rank"] for one in seen] == [*range(ranks)] * 2
    assert [one["node"] for one in seen] == ["nid0001"] * ranks + ["nid0002"] * ranks
    assert {one["omp"] for one in seen} == {str(threads)}
    assert {one["torch"] for one in seen} == {threads}
    assert {count for one in seen for count in one["pools"]} == {threads}
    assert {Path(one["prefix"]) for one in seen} == {released.store / "steps/prefix/1/prefix"}
    for node in ("nid0001", "nid0002"):
        own = [one["cpus"] for one in seen if one["node"] == node]
        if command == "python":  # bound by srun, each to cores of its own
            assert all(len(cpus) == threads for cpus in own)
            assert len({cpu for cpus in own for cpu in cpus}) == ranks * threads
        else:  # torchrun's share the node
            assert all(len(cpus) == ranks * threads for cpus in own)


def test_what_is_not_filled_in_is_refused_by_slurm(
    released: Stack, tmp_path: Path, asking: None
) -> None:
    text = released.run("job", LABEL, "--", "true").stdout
    (tmp_path / "job.sh").write_text(text)

    refused = subprocess.run(
        ["sbatch", tmp_path / "job.sh"],
        env=released.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode != 0
    assert "unrecognized option '--FILL-IN'" in refused.stderr


def test_a_job_is_submitted_when_all_is_said(released: Stack, asking: None) -> None:
    told = released.run("job", LABEL, "--submit", "--", "true")
    filled = released.run(
        "job", LABEL, "--submit", "--set", "account=m1", "--output", "/dev/null", "--", "true"
    )

    assert "jobs on 'bench' have to say --account" in told.stderr
    assert filled.stdout.startswith("submitted job "), filled.stderr


def test_what_the_site_injects_since_the_release_is_in_no_job(released: Stack) -> None:
    system = released.site / "systems/bench.yaml"
    injection = released.site / "systems/injections/more.yaml"
    before = system.read_text()
    injection.parent.mkdir(exist_ok=True)
    injection.write_text(
        "name: more\nwhy: A test.\nsource: https://example.org\nenv: {SITE_FABRIC: hsn}\n"
    )
    system.write_text(f"{before}\ninjections: [more]\n")

    done = released.run("job", LABEL, "--", "python")

    system.write_text(before)
    injection.unlink()
    assert done.returncode != 0
    assert "what 'bench' injects has changed since the release" in done.stderr


@pytest.mark.long
def test_a_candidate_and_the_release_take_turns_in_one_job(released: Stack) -> None:
    before = {*released.runs}
    build_again(released)

    done = released.run("validate", LABEL, "--launcher", "slurm", "-N", "2", "--suite", "pairs")

    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = {*released.runs} - before
    records = released.records(run)
    assert len([*(released.store / "batch").iterdir()]) == 1
    arms = sorted((record["pair"], record["arm"]) for record in records)
    assert arms == [(pair, arm) for pair in range(8) for arm in ("baseline", "candidate")]
    nodes = {tuple(rank[0]["host"] for rank in record["ranks"]) for record in records}
    assert nodes == {("nid0001", "nid0002")}
    prefixes = {record["arm"]: record["ranks"][0][0]["prefix"] for record in records}
    assert Path(prefixes["baseline"]).parts[-2:] == ("1", "prefix")
    assert Path(prefixes["candidate"]).parts[-2:] == ("2", "prefix")


@pytest.fixture
def asking(released: Stack) -> Iterator[None]:
    """Its system asks its users for an account."""
    path = released.site / "systems/bench.yaml"
    before = path.read_text()
    path.write_text(before.replace("{partition: batch,", "{partition: batch, asks: [--account],"))
    yield
    path.write_text(before)


def run(stack: Stack, folder: Path, text: str) -> list[dict[str, Any]]:
    """Submit a script, wait for its end, and read what its ranks wrote."""
    (folder / "job.sh").write_text(text)
    done = subprocess.run(
        ["sbatch", "--wait", "job.sh"],
        cwd=folder,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / "job.log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    found = [json.loads(path.read_text()) for path in folder.glob("rank-*.json")]
    return sorted(found, key=lambda one: one["rank"])
