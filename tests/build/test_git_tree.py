"""Files of a tree of git are what its hash says, whatever the repository was told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "images" / "git_tree.py"


def git(repository: Path, *arguments: str, content: str | None = None) -> str:
    who = ("-c", "user.name=N", "-c", "user.email=n@example.org")
    argv = ["git", *who, "-C", str(repository), *arguments]
    done = subprocess.run(argv, input=content, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "lib" / "recipe.py").write_text("version = 1\n")
    (root / "lib" / "deep" / "left_out.py").write_text("")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "other").write_text("")
    (root / "link").symlink_to("run")
    git(tmp_path, "init", "-q", "repository")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def taken_out(
    repository: Path, tree: str, folder: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    argv = [sys.executable, str(PROGRAM), str(repository), tree, str(folder), *more]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def tree_of(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD^{tree}")


def test_files_programs_and_links_are_written(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    assert taken_out(repository, tree_of(repository), out).returncode == 0

    assert files(out) == {"lib/recipe.py", "lib/deep/left_out.py", "run", "other", "link"}
    assert (out / "link").readlink() == Path("run")
    assert (out / "run").stat().st_mode & 0o777 == 0o755
    assert (out / "lib" / "recipe.py").stat().st_mtime == 0


def test_parts_are_chosen_and_left_out(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    chosen = ("--only", "lib", "run", "--without", "lib/deep")

    assert taken_out(repository, tree_of(repository), out, *chosen).returncode == 0

    assert files(out) == {"lib/recipe.py", "run"}


def test_a_replaced_object_is_not_taken(repository: Path, tmp_path: Path) -> None:
    honest = tree_of(repository)
    (repository / "lib" / "recipe.py").write_text("version = 666\n")
    git(repository, "commit", "-qam", "evil")
    git(repository, "replace", honest, tree_of(repository))
    assert "666" in git(repository, "cat-file", "-p", f"{honest}:lib/recipe.py")

    assert taken_out(repository, honest, tmp_path / "out").returncode == 0

    assert (tmp_path / "out" / "lib" / "recipe.py").read_text() == "version = 1\n"


def test_no_filter_and_no_attribute_has_a_say(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "filter.evil.smudge", f"touch {tmp_path / 'ran'}; echo evil")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    attributes = "*.py filter=evil\nother export-ignore\n"
    (repository / ".git" / "info" / "attributes").write_text(attributes)

    assert taken_out(repository, tree_of(repository), tmp_path / "out").returncode == 0

    assert (tmp_path / "out" / "lib" / "recipe.py").read_text() == "version = 1\n"
    assert (tmp_path / "out" / "other").exists()
    assert not (tmp_path / "ran").exists()


def test_an_object_that_is_not_what_its_name_says_ends_it(repository: Path, tmp_path: Path) -> None:
    honest = git(repository, "rev-parse", "HEAD:lib/recipe.py")
    evil = git(repository, "hash-object", "-w", "--stdin", content="version = 666\n")
    objects = repository / ".git" / "objects"
    place, other = (objects / name[:2] / name[2:] for name in (honest, evil))
    place.chmod(0o644)
    place.write_bytes(other.read_bytes())

    done = taken_out(repository, tree_of(repository), tmp_path / "out")

    assert done.returncode == 1
    assert not (tmp_path / "out" / "lib" / "recipe.py").exists()


def test_a_tree_that_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    done = taken_out(repository, "0" * 40, tmp_path / "out")

    assert (done.returncode, done.stderr) == (1, f"error: the repository has no tree {'0' * 40}\n")


def test_a_commit_that_has_another_tree_ends_it(repository: Path, tmp_path: Path) -> None:
    first, tree = git(repository, "rev-parse", "HEAD"), tree_of(repository)
    (repository / "lib" / "recipe.py").write_text("version = 666\n")
    git(repository, "commit", "-qam", "evil")
    git(repository, "replace", first, "HEAD")

    done = taken_out(repository, tree_of(repository), tmp_path / "evil", "--commit", first)

    said = f"error: the commit {first} has another tree than {tree_of(repository)}\n"
    assert (done.returncode, done.stderr, files(tmp_path / "evil")) == (1, said, set())
    assert taken_out(repository, tree, tmp_path / "out", "--commit", first).returncode == 0
    # Who has made the same files by another way has the tree, and no such commit.
    assert taken_out(repository, tree, tmp_path / "same", "--commit", "0" * 40).returncode == 0
