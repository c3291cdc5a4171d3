"""The small stack, built by the real Spack inside the base image, offline."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_samples import Mini, run_cli
from spack_samples import LABEL, WHEELS, make_spack_site, needs_spack, spack_roots

from stackwright.building.build import tree_hash_of
from stackwright.canonical import hash_file
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.tools.spack import ROOT

pytestmark = [pytest.mark.real, pytest.mark.long, needs_spack]


@dataclass(frozen=True)
class Built:
    """The small stack as Spack installed it, beside the one that it has the wheels of."""

    site: Site
    wheels: Mini
    record: dict[str, dict[str, str]]
    environment: dict[str, str]

    @property
    def prefix(self) -> Path:
        return self.wheels.store.path(self.record["prefix"]["path"])


@pytest.fixture(scope="module", params=spack_roots(), ids=lambda root: root.name)
def built(
    request: pytest.FixtureRequest, mini: Mini, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    site = make_spack_site(tmp_path_factory.mktemp("spack") / "site")
    locks = site.lock_file(parse(WHEELS))
    locks.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(mini.site.lock_file(parse(WHEELS)), locks)
    environment = {**mini.environment, ROOT: str(request.param)}
    run_cli("--site", str(site.root), "lock", LABEL, environment=environment)
    before = {*(mini.store.root / "artefacts").iterdir()}
    args = ("--site", str(site.root), "build", LABEL, "--engine", "podman")
    run_cli(*args, environment=environment)
    (record,) = {*(mini.store.root / "artefacts").iterdir()} - before
    return Built(site, mini, json.loads(record.read_text()), environment)


def test_the_layers_are_those_of_the_wheels(built: Built) -> None:
    """All but RUNPATHs, of which Spack removes folders that aren't there: these have none."""
    tree_hash = tree_hash_of(built.site)
    for layer in ("numpy", "packages"):
        found = {tree_hash(tree) for tree in built.wheels.store.root.glob(f"steps/{layer}/*/tree")}
        assert len(found) == 1, layer


def test_the_prefix_says_what_spack_decided(built: Built) -> None:
    committed = json.loads(built.site.spack_lock_file(parse(LABEL)).read_text())

    in_prefix = json.loads((built.prefix / "share/stackwright/spack.lock").read_text())

    assert in_prefix == committed["lock"]


def test_nothing_of_spack_is_in_the_prefix(built: Built) -> None:
    assert not [*built.prefix.rglob(".spack*")]
    for trace in ("/out/opt", "/spack/"):
        found = subprocess.run(
            ["grep", "-rlF", "--exclude=spack.lock", "--", trace, built.prefix],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (found.returncode, found.stdout) == (1, ""), trace


def test_the_squashfs_is_what_is_recorded(built: Built) -> None:
    path = built.wheels.store.path(built.record["squashfs"]["path"])

    assert hash_file(path) == built.record["squashfs"]["digest"]


def test_a_second_build_has_nothing_to_do(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("--site", str(built.site.root), "build", LABEL)
    run_cli(*args, environment=built.environment)

    assert "nothing to do" in capsys.readouterr().out
