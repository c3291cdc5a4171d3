"""STREAM, which a stack takes by a commit: the real Spack clones it from what lies in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_samples import patched_environment
from spack_samples import (
    SOURCE,
    SOURCES_HERE,
    make_spack_site,
    needs_packages,
    needs_spack,
    plan_of,
    spack_roots,
)
from test_real_source_build import BUILDER

from stackwright.building.build import SOURCES
from stackwright.building.providers.scripts import write_files
from stackwright.building.recipe import render
from stackwright.cli import main
from stackwright.errors import ExitCode
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.solve import draft
from stackwright.spack.concretize import concretize
from stackwright.store import Store, remove_tree
from stackwright.tools.process import Runner
from stackwright.tools.spack import PACKAGES, ROOT, Checkout, find_packages, find_spack, run_spack

COMMIT = "6703f7504a38a8da96b353cadafa64d3c2d7a2d3"
URL = "https://github.com/jeffhammond/STREAM.git"


def clones() -> list[Path]:
    """STREAM's repositories in the folders with sources."""
    named = os.environ.get(SOURCES_HERE, "").split(":")
    return [path for place in named if place for path in Path(place).glob("STREAM.git")]


pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    needs_spack,
    needs_packages,
    pytest.mark.skipif(
        not clones(), reason=f"needs {SOURCES_HERE} with STREAM.git, a clone of {URL}"
    ),
]

OLD = "    gpu: nvidia\n    frameworks: [py-torch@2.9.0 +gloo +mkldnn]\n"
NEW = f"    frameworks: [stream@git.{COMMIT}=5.10]\n    externals: [gmake, python]\n"
CXX = "cxx: /usr/bin/g++}"
FORTRAN = "cxx: /usr/bin/g++, fortran: /usr/bin/gfortran}"


@dataclass(frozen=True)
class Locked:
    """A stack with STREAM, of which Spack's part is locked; no network is to be had."""

    site: Site
    store: Store
    spack: Checkout
    packages: Checkout | None

    def mirror(self, place: Path, *options: str) -> int:
        """Get its sources anew, from a place alone."""
        remove_tree(self.store.path("steps/spack-sources"))
        environment = {
            "STACKWRIGHT_STORE": str(self.store.root),
            ROOT: str(self.spack.root),
            PACKAGES: os.environ[PACKAGES],
            SOURCES: str(place),
            "https_proxy": "http://127.0.0.1:9",  # nobody listens there
        }
        with patched_environment(environment):
            return main(["--site", str(self.site.root), "mirror", SOURCE, *options])

    def stage(self, mirror: Path, work: Path) -> Path:
        """Let Spack unpack it, as where it is compiled."""
        plan = plan_of(self.site, SOURCE)
        files = render(plan, draft(plan), self.site).files
        write_files({n: text for n, text in files.items() if n.startswith("spack/")}, work)
        (work / "scope").mkdir()
        told = f"mirrors:\n  sources: {{url: 'file://{mirror}', source: true, binary: false}}\n"
        (work / "scope" / "mirrors.yaml").write_text(told)
        said = run_spack(
            self.spack,
            ["-e", str(work / "spack"), "stage", "--path", str(work / "staged"), "stream"],
            Runner(),
            work=work,
            cache=work / "cache",
            seconds=600,
            packages=self.packages,
        )
        assert f"file://{mirror}" in said
        (found,) = work.rglob("stream.c")
        return found


@pytest.fixture(scope="module", params=spack_roots(), ids=lambda root: root.name)
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Locked:
    folder = tmp_path_factory.mktemp("git")
    root = make_spack_site(folder / "site").root
    system, stack = root / "systems" / "bench.yaml", root / "stacks" / "mini.yaml"
    system.write_text(system.read_text().replace(CXX, FORTRAN).rstrip("\n") + BUILDER)
    text = stack.read_text().replace(OLD, NEW)
    stack.write_text(text.replace("    packages: [osu-micro-benchmarks, nccl +cuda]\n", ""))
    site, store, runner = Site(root), Store(folder / "store"), Runner()
    environment = {ROOT: str(request.param), PACKAGES: os.environ[PACKAGES]}
    spack = find_spack(runner, environment)
    packages = find_packages(spack, runner, environment)
    plan = plan_of(site, SOURCE)
    found = concretize(plan, None, site, spack, packages, store, runner, seconds=1800)
    path = site.spack_lock_file(parse(SOURCE))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.to_json())
    return Locked(site, store, spack, packages)


def test_a_commit_that_no_place_holds_is_named(
    stream: Locked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream.mirror(tmp_path) == ExitCode.FAIL

    assert f"  commit {COMMIT}\n    {URL}\n" in capsys.readouterr().err


def test_a_commit_comes_from_a_clone_and_then_from_what_mirror_kept(
    stream: Locked, tmp_path: Path
) -> None:
    """And what Spack unpacks of that is what git knows by the commit."""
    shutil.copytree(clones()[0], tmp_path / "place" / "whatever")
    assert stream.mirror(tmp_path / "place", "--to", str(tmp_path / "kept")) == 0

    assert stream.mirror(tmp_path / "kept", "--to", str(tmp_path / "again")) == 0

    found = stream.stage(tmp_path / "again", tmp_path)
    repository = tmp_path / "kept" / "_git" / "github.com" / "jeffhammond" / "STREAM.git"
    wanted = subprocess.run(
        ["git", f"--git-dir={repository}", "show", f"{COMMIT}:stream.c"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert found.read_bytes() == wanted
