"""bzip2 with a patch, compiled by the real Spack in a builder, offline: and never a second time."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker_registry import docker_registry, free_address, needs_registry
from real_samples import container_storage, patched_environment, run_cli
from spack_samples import (
    SOURCE,
    SOURCES_HERE,
    make_spack_site,
    needs_packages,
    needs_spack,
    spack_roots,
)

from stackwright.building.build import BUILD_CACHE, SOURCES, tree_hash_of
from stackwright.cli import main
from stackwright.errors import ExitCode
from stackwright.inputs.site import Site
from stackwright.store import remove_tree
from stackwright.tools.spack import PACKAGES, ROOT

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    needs_spack,
    needs_packages,
    pytest.mark.skipif(
        not os.environ.get(SOURCES_HERE),
        reason=f"needs {SOURCES_HERE}, a folder with bzip2-1.0.8.tar.gz, whatever it is called",
    ),
]

BUILDER = """
  builder:
    packages: [bzip2, diffutils, file, g++, make, patch, python3.11, xz-utils]
    externals:
      - {spec: diffutils@3.8, prefix: /usr}
      - {spec: gmake@4.3, prefix: /usr}
      - {spec: python@3.11.2, prefix: /usr}
"""
OLD = "    gpu: nvidia\n    frameworks: [py-torch@2.9.0 +gloo +mkldnn]\n"
NEW = """\
    sources: [bzip2]
    frameworks: [bzip2@1.0.8]
    externals: [diffutils, gmake, python]
"""
RECIPE = """\
name: bzip2
summary: A block-sorting file compressor
requirement: bzip2==1.0.8
build: [setuptools]
patches: recipes/patches/bzip2
spack: {package: bzip2}
"""
PATCH = """\
Users are to see whose it is.

--- a/bzip2.c
+++ b/bzip2.c
@@ -1605,3 +1605,3 @@
     "bzip2, a block-sorting file compressor.  "
-    "Version %s.\\n"
+    "Version %s, patched.\\n"
     "   \\n"
"""
BEFORE = ("base", "tools-wheels", "python", "toolchain", "spack", "spack-packages")


@dataclass(frozen=True)
class Built:
    """bzip2 in a store, and what a later build may take from it."""

    site: Site
    store: Path
    environment: dict[str, str]

    @property
    def tree(self) -> Path:
        (found,) = self.store.glob("steps/packages/*/tree")
        return found

    def installed(self) -> dict[str, str]:
        """How each package came there, by its name and version."""
        (told,) = self.store.glob("steps/spack-build/*/installed.txt")
        lines = (line.split() for line in told.read_text().splitlines())
        return {name.rpartition("-")[0]: how for how, name in lines}

    def build(self) -> None:
        assert self.try_to_build() == 0

    def try_to_build(self) -> int:
        args = ["--site", str(self.site.root), "build", SOURCE, "--engine", "podman"]
        with patched_environment({**self.environment, "STACKWRIGHT_STORE": str(self.store)}):
            return main(args)

    def again(self, store: Path, **environment: str) -> Built:
        """The same in a new store, which has all but Spack's own work."""
        for name in BEFORE:
            shutil.copytree(self.store / "steps" / name, store / "steps" / name, symlinks=True)
        shutil.copytree(self.store / "spack/index", store / "spack/index")
        return replace(self, store=store, environment={**self.environment, **environment})


@pytest.fixture(scope="module", params=spack_roots(), ids=lambda root: root.name)
def first(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("source")
    root = make_spack_site(folder / "site").root
    system, stack = root / "systems" / "bench.yaml", root / "stacks" / "mini.yaml"
    system.write_text(system.read_text().rstrip("\n") + BUILDER)
    text = stack.read_text().replace(OLD, NEW)
    stack.write_text(text.replace("    packages: [osu-micro-benchmarks, nccl +cuda]\n", ""))
    (root / "recipes" / "sources" / "bzip2.yaml").write_text(RECIPE)
    (root / "recipes" / "patches" / "bzip2").mkdir()
    (root / "recipes" / "patches" / "bzip2" / "0001-whose.patch").write_text(PATCH)
    with container_storage(folder / "containers") as storage:
        environment = {
            **storage,
            ROOT: str(request.param),
            PACKAGES: os.environ[PACKAGES],
            SOURCES: os.environ[SOURCES_HERE],
            BUILD_CACHE: str(folder / "cache"),
        }
        built = Built(Site(root), folder / "store", environment)
        locked = {**environment, "STACKWRIGHT_STORE": str(built.store)}
        run_cli("--site", str(root), "lock", SOURCE, environment=locked)
        built.build()
        yield built
    remove_tree(folder)


def test_what_was_there_is_not_compiled_and_what_was_not_is(first: Built) -> None:
    found = first.installed()

    assert found["bzip2-1.0.8"] == "compiled"
    assert {found[name] for name in ("diffutils-3.8", "gmake-4.3")} == {"external"}


def test_what_is_compiled_has_our_patch(first: Built) -> None:
    """And is otherwise what Spack's package makes, whose own `patch` and flags it needs."""
    said = subprocess.run(
        [first.tree / "bin" / "bzip2", "--license"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr

    assert ", patched.\n" in said


def test_each_package_has_its_log(first: Built) -> None:
    (log,) = first.store.glob("logs/spack-build-*/bzip2-1.0.8-*.log")

    assert "Executing phase: 'install'" in log.read_text()


def test_a_new_store_takes_everything_from_the_cache(
    first: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted by what was compiled: nothing. And the layer is the same, bit by bit."""
    second = first.again(tmp_path / "store")
    capsys.readouterr()

    second.build()

    assert {*second.installed().values()} == {"cached", "external"}
    told = re.findall(r"^  (\d+)/(\d+) (\S+): taken from", capsys.readouterr().err, re.MULTILINE)
    cached = [name for name, how in second.installed().items() if how == "cached"]
    assert sorted(name for _, _, name in told) == sorted(cached)
    counts = [(int(done), int(total)) for done, total, _ in told]
    assert counts == [(number, len(cached)) for number in range(1, len(cached) + 1)]
    assert second.installed().keys() == first.installed().keys()
    tree_hash = tree_hash_of(first.site)
    assert tree_hash(second.tree) == tree_hash(first.tree)


# By a registry

PASSWORD = "hunter2"  # by bcrypt, as htpasswd writes it
HTPASSWD = "ada:$2a$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n"


def served(folder: Path, address: str, root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of a registry with TLS, and what names it; with a password as of Spack 1.

    Before, Spack knew passwords only of registries that give a token for one.
    """
    key, certificate = f"{folder}/key.pem", f"{folder}/cert.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    settings: dict[str, Any] = {"http": {"tls": {"key": key, "certificate": certificate}}}
    named = {BUILD_CACHE: f"oci://{address}/group/cache", "SSL_CERT_FILE": certificate}
    if "0.23" in root.name:
        return settings, named
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    (folder / "auth.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    login = {"htpasswd": {"realm": "cache", "path": f"{folder}/htpasswd"}}
    return {**settings, "auth": login}, {**named, "REGISTRY_AUTH_FILE": f"{folder}/auth.json"}


@needs_registry
def test_machines_share_a_registry(
    first: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = free_address()
    settings, environment = served(tmp_path, address, Path(first.environment[ROOT]))
    read_only = {"storage": {"maintenance": {"readonly": {"enabled": True}}}}
    one = first.again(tmp_path / "one", **environment)

    assert one.try_to_build() == ExitCode.FAIL
    assert "error: could not take what is compiled from oci" in capsys.readouterr().err

    with docker_registry(tmp_path, address, {**settings, **read_only}):
        assert one.try_to_build() == ExitCode.FAIL
    assert "pushes again" in capsys.readouterr().err

    with docker_registry(tmp_path, address, settings):
        one.build()
        other = one.again(tmp_path / "other")
        other.build()

    assert {*one.installed().values()} == {*other.installed().values()} == {"cached", "external"}
    assert not [*other.store.glob("spack/build-cache/*/*")], "it had no other cache"
    tree_hash = tree_hash_of(first.site)
    assert tree_hash(other.tree) == tree_hash(one.tree) == tree_hash(first.tree)


def test_the_layer_runs_wherever_it_lies(first: Built, tmp_path: Path) -> None:
    moved = shutil.copytree(first.tree, tmp_path / "else where", symlinks=True)

    packed = subprocess.run(
        [moved / "bin" / "bzip2", "--stdout"],
        input=b"twice twice",
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    loaded = subprocess.run(
        ["ldd", moved / "bin" / "bzip2"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout

    assert packed.startswith(b"BZh")
    assert f"libbz2.so.1.0 => {moved}" in loaded.replace("/bin/../lib", "/lib")


def test_no_folder_of_the_build_is_needed_or_named(first: Built) -> None:
    found = subprocess.run(
        ["grep", "-rlF", "/out/opt", first.tree], capture_output=True, text=True, check=False
    )

    assert (found.returncode, found.stdout) == (1, "")


def test_the_mirror_holds_the_sources_and_is_enough(
    first: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**first.environment, "STACKWRIGHT_STORE": str(first.store)}
    args = ("--site", str(first.site.root), "mirror", SOURCE)
    run_cli(*args, "--to", str(tmp_path / "mirror"), environment=environment)
    assert f"export STACKWRIGHT_SOURCES={tmp_path / 'mirror'}" in capsys.readouterr().out

    elsewhere = {
        **environment,
        "STACKWRIGHT_STORE": str(tmp_path / "store"),
        SOURCES: str(tmp_path / "mirror"),
    }
    run_cli(*args, environment=elsewhere)

    (found,) = (tmp_path / "store").glob("steps/spack-sources/*/mirror/bzip2/bzip2-1.0.8.tar.gz")
    assert found.read_bytes()
