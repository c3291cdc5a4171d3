"""The program `spack`: which one it is, and how it is run. A script stands in for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stackwright.checks import check_spack
from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.spack import (
    PACKAGES,
    ROOT,
    Checkout,
    TimedOut,
    find_packages,
    find_spack,
    run_spack,
)

SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"
PROGRAM = f"""#!/bin/sh
case "$*" in
*--version*) echo "1.1.0 (2e907202bc)" ;;
*fail*) echo "==> Error: no"; exit 1 ;;
*sleep*) sleep 60 ;;
*) {sys.executable} -c '{SHOW}' "$@" ;;
esac
"""


def git(folder: Path, *words: str) -> str:
    argv = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "spack root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "spack").write_text(PROGRAM)
    (root / "bin" / "spack").chmod(0o755)
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    return root


def found(root: Path) -> Checkout:
    return find_spack(Runner(), {ROOT: str(root)})


def test_a_spack_is_told_by_version_commit_and_tree(root: Path) -> None:
    spack = found(root)

    assert spack.version == "1.1.0"
    assert (spack.commit, spack.tree) == (
        git(root, "rev-parse", "HEAD"),
        git(root, "rev-parse", "HEAD^{tree}"),
    )


def test_a_copy_with_another_history_has_the_same_tree(root: Path) -> None:
    before = found(root)
    git(root, "commit", "-q", "--amend", "-m", "another history")

    after = found(root)

    assert after.commit != before.commit
    assert after.tree == before.tree


def test_the_one_on_path_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{root / 'bin'}:/usr/bin:/bin")

    assert find_spack(Runner(), {}).root == root.resolve()


def test_without_one_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    with pytest.raises(StackwrightError, match="there is no Spack here") as caught:
        find_spack(Runner(), {})
    assert "git clone" in str(caught.value.hint)


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="is no Spack"):
        found(tmp_path)


def test_one_that_was_changed_is_refused(root: Path) -> None:
    (root / "bin" / "spack").write_text(f"{PROGRAM}# changed\n")

    with pytest.raises(StackwrightError, match="was changed since it was checked out: bin/spack"):
        found(root)


def test_one_that_is_no_checkout_is_refused(root: Path) -> None:
    (root / ".git").rename(root / "gone")

    with pytest.raises(StackwrightError, match="no checkout of git"):
        found(root)


def ask(root: Path, tmp_path: Path, *arguments: str, seconds: int = 60) -> str:
    work = tmp_path / "work"
    work.mkdir()
    packages = Checkout(tmp_path / "packages", "v1", "0" * 40, "0" * 40)
    return run_spack(
        found(root),
        arguments,
        Runner(),
        work=work,
        cache=tmp_path / "cache",
        seconds=seconds,
        packages=packages,
    )


def test_nothing_of_the_caller_reaches_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACK_ENV", "/mine")
    monkeypatch.setenv("PYTHONPATH", "/mine")

    environment, arguments = json.loads(ask(root, tmp_path, "concretize"))

    known = {"PATH", "PWD", "HOME", "LC_ALL", "OUT", "SPACK_PYTHON", "_", "SHLVL", "OLDPWD"}
    assert {name for name in environment if not name.startswith("SPACK_")} <= known | {"LC_CTYPE"}
    assert environment["SPACK_DISABLE_LOCAL_CONFIG"] == "1"
    assert environment["SPACK_PACKAGES"] == str(tmp_path / "packages")
    assert "/mine" not in environment.values()
    assert arguments == ["-C", str(tmp_path / "work" / "scope"), "concretize"]


def test_it_bootstraps_nothing(root: Path, tmp_path: Path) -> None:
    ask(root, tmp_path, "concretize")

    assert "enable: false" in (tmp_path / "work" / "scope" / "bootstrap.yaml").read_text()


def test_it_is_ended_in_time(root: Path, tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match="within 1 s") as caught:
        ask(root, tmp_path, "sleep", seconds=1)
    assert "--time-limit" in str(caught.value.hint)


def test_its_failure_is_its_own(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="==> Error: no"):
        ask(root, tmp_path, "fail")


# Its packages


def test_packages_are_part_of_an_older_spack(root: Path) -> None:
    (root / "var" / "spack" / "repos" / "builtin").mkdir(parents=True)

    assert find_packages(found(root), Runner(), {}) is None


def test_packages_are_told_by_the_tag_of_their_release(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    (folder / "repos" / "spack_repo" / "builtin").mkdir(parents=True)
    (folder / "repos" / "spack_repo" / "builtin" / "repo.yaml").write_text("repo:\n")
    git(tmp_path, "init", "-q", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "v2025.11.0")
    git(folder, "tag", "releases/latest")

    packages = find_packages(found(root), Runner(), {PACKAGES: str(folder)})

    assert packages is not None
    assert packages.version == "v2025.11.0"


@pytest.mark.parametrize("named", [{}, {PACKAGES: "/nowhere"}])
def test_without_packages_it_is_said_how_to_get_them(root: Path, named: dict[str, str]) -> None:
    with pytest.raises(StackwrightError, match="packages") as caught:
        find_packages(found(root), Runner(), named)
    assert "spack-packages" in str(caught.value.hint)


# What `doctor` says


def test_doctor_names_the_spack_that_is_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT, str(root))

    row = check_spack(Runner())

    assert (row.status, row.found) == ("ok", f"1.1.0, {root}")


def test_doctor_can_do_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(ROOT, raising=False)

    assert check_spack(Runner()).status == "warning"
