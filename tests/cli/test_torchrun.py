"""A command that begins with torchrun: who has none, and who has ranks that it doesn't join."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stackwright.cli import main, workshop
from stackwright.cli.torchrun import check_torchrun
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.report.contents import packages
from stackwright.store import Store
from stackwright.workshop import Workshop

REPOSITORY = Path(__file__).parents[2]
HOROVOD, PYTORCH = "horovod/0.28.1-cpu@local", "pytorch/2.13.0-cpu@local"
OTHERS = ("tensorflow/2.21.0-cpu@local", "jax/0.10.2-cpu@local")
TORCHRUN = ("torchrun", "train.py")


def prefix(folder: Path, label: str) -> Path:
    """A prefix with the lock of a label of the repository, as a build leaves it."""
    own = folder / "share/stackwright"
    own.mkdir(parents=True)
    shutil.copy(Site(REPOSITORY).lock_file(parse(label)), own / "lock.json")
    return folder


def check(words: tuple[str, ...], label: str, folder: Path, instead: str = "`python`") -> None:
    shop = Workshop(Site(REPOSITORY), parse(label), Store(folder / "store"))
    check_torchrun(words, shop, artefact(prefix(folder / "prefix", label)), instead)


def artefact(installed: Path) -> Any:
    return SimpleNamespace(prefix=SimpleNamespace(path=installed))


@pytest.mark.parametrize("label", OTHERS)
def test_a_stack_without_pytorch_has_none(label: str, tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="has no torchrun, as it has no PyTorch") as found:
        check(TORCHRUN, label, tmp_path)
    assert found.value.hint == "write `python` in the place of torchrun and its options"


def test_ranks_of_horovod_are_not_joined_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(TORCHRUN, HOROVOD, tmp_path, "`mpiexec -n 2 python`")

    said = capsys.readouterr().err
    assert said.startswith("warning: by torchrun each rank of Horovod is a world of its own")
    assert said.endswith("write `mpiexec -n 2 python` in its place\n")


@pytest.mark.parametrize(
    ("label", "words"), [(PYTORCH, TORCHRUN), (HOROVOD, ("python", "train.py"))]
)
def test_nothing_is_said_of_what_works(
    label: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(words, label, tmp_path)

    assert capsys.readouterr().err == ""


def test_packages_by_spack_are_known_by_pythons_names(tmp_path: Path) -> None:
    by_spack = {
        key: {
            "name": name,
            "version": "1",
            "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64_v3"},
            "namespace": "builtin",
            "parameters": {},
            "hash": key,
        }
        for key, name in (("a", "py-torch"), ("b", "zlib"))
    }
    folder = prefix(tmp_path, OTHERS[0])
    (folder / "share/stackwright/spack.lock").write_text(
        json.dumps({"_meta": {"lockfile-version": 6}, "roots": [], "concrete_specs": by_spack})
    )

    assert {"torch", "zlib", "tensorflow-cpu"} <= packages(folder)


@pytest.mark.parametrize("command", ["job", "run"])
def test_both_commands_look(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    released = artefact(prefix(tmp_path / "prefix", OTHERS[0]))
    monkeypatch.setattr(workshop, "released_to_run", lambda *_: released)
    where = ("--site", str(REPOSITORY), "--store", str(tmp_path / "store"))

    assert main([*where, command, OTHERS[0], "--", *TORCHRUN]) != 0
    assert "has no torchrun, as it has no PyTorch" in capsys.readouterr().err
