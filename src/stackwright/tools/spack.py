"""The program `spack`: which one it is, and how it is run without anything of the caller's.

It is a program like any other: its files are read and its output, nothing of it is imported.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner, ToolError, find

ROOT = "STACKWRIGHT_SPACK"
"""The variable that names the root of a Spack; else the one on PATH is taken."""

PACKAGES = "STACKWRIGHT_SPACK_PACKAGES"
"""The variable that names a checkout of its packages, which Spack 1 keeps apart from itself."""

_TIMED_OUT = 124
_BOOTSTRAP = "bootstrap:\n  enable: false\n  root: {root}\n"


class TimedOut(StackwrightError):  # noqa: N818  (what it is, not that it is an error)
    """Spack didn't come to an end in the time that it was given."""


@dataclass(frozen=True)
class Checkout:
    """A git checkout of Spack, or of its packages, as all are that follow its documentation.

    Args:
        root: its folder.
        version: of Spack, such as ``1.1.0``; of packages the tag, or what git calls it else.
        commit: the commit that is checked out.
        tree: what that commit holds, as git names it: the same for the same files, whatever
            repository they came from.
    """

    root: Path
    version: str
    commit: str
    tree: str


def find_spack(runner: Runner, environ: Mapping[str, str] = os.environ) -> Checkout:
    """The Spack that STACKWRIGHT_SPACK names, else the one on PATH.

    Raises:
        StackwrightError: there is none, or it can't be told which one it is.
    """
    named, found = environ.get(ROOT), find("spack")
    if not named and not found:
        raise StackwrightError(
            "there is no Spack here",
            hint="put its bin into PATH, or export STACKWRIGHT_SPACK=FOLDER; it comes by:"
            " git clone --depth 1 -b v1.1.0 https://github.com/spack/spack",
        )
    root = Path(named) if named else Path(str(found)).resolve().parents[1]
    program = root / "bin" / "spack"
    if not program.is_file():
        raise StackwrightError(f"{root} is no Spack: it has no bin/spack", hint=f"see {ROOT}")
    said = runner.run([str(program), "--version"], env=_environment(root, root))
    version = re.search(r"^\d+(?:\.\d+)+\S*", said, re.MULTILINE)
    if version is None:
        raise StackwrightError(f"{program} says no version: {said.strip()}")
    return Checkout(root, version.group(), *checked_out(root, runner))


def find_packages(
    spack: Checkout, runner: Runner, environ: Mapping[str, str] = os.environ
) -> Checkout | None:
    """The checkout of Spack's packages that STACKWRIGHT_SPACK_PACKAGES names.

    None where they are part of Spack itself, as they were before 1.0.

    Raises:
        StackwrightError: there is none.
    """
    if (spack.root / "var" / "spack" / "repos" / "builtin").is_dir():
        return None
    named = environ.get(PACKAGES)
    if not named or not Path(named, "repos", "spack_repo", "builtin").is_dir():
        raise StackwrightError(
            f"{named} holds no packages of Spack" if named else "where are Spack's packages?",
            hint=f"export {PACKAGES}=FOLDER; it comes by:"
            " git clone --depth 1 -b v2025.11.0 https://github.com/spack/spack-packages",
        )
    root = Path(named).resolve()
    commit, tree = checked_out(root, runner)
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    version = runner.run([*git, "describe", "--tags", "--always", "--match", "v*"]).strip()
    return Checkout(root, version, commit, tree)


def checked_out(root: Path, runner: Runner) -> tuple[str, str]:
    """The commit that a checkout is at, and its tree.

    Raises:
        StackwrightError: it is no checkout of git, or its files were changed.
    """
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    try:
        commit, tree = runner.run([*git, "rev-parse", "HEAD", "HEAD^{tree}"]).split()
        changed = runner.run([*git, "status", "--porcelain", "--untracked-files=no"])
    except (ToolError, ValueError) as error:
        raise StackwrightError(
            f"{root} is no checkout of git, so that a lock couldn't say what made it",
            hint="get it by git clone, at the tag of a release",
        ) from error
    if changed:
        first = changed.splitlines()[0][3:]
        raise StackwrightError(
            f"{root} was changed since it was checked out: {first}",
            hint=f"take it back, or commit it: git -C {root} status",
        )
    return commit, tree


def taken_out(checkout: Checkout, program: Path, runner: Runner, folder: Path) -> Checkout:
    """The same files, each compared with its hash, in a folder of their own.

    A checkout has more than its commit says: files that git doesn't know, a site's configuration
    among them, and changes that it was told not to look at.

    Args:
        program: ``images/git_tree.py`` of the site.
        folder: is made.

    Raises:
        ToolError: an object of the repository isn't what its name says.
    """
    folder.mkdir()
    argv = [sys.executable, str(program), str(checkout.root), checkout.tree, str(folder)]
    runner.run([*argv, "--commit", checkout.commit])
    return replace(checkout, root=folder)


def run_spack(
    spack: Checkout,
    arguments: Sequence[str],
    runner: Runner,
    *,
    work: Path,
    cache: Path,
    seconds: int,
    packages: Checkout | None = None,
) -> str:
    """Run Spack with no other configuration than what is given, and end it in time.

    Args:
        work: a folder for runs on one environment only; ``$OUT`` of the files that Spack reads.
        cache: a folder in which this Spack keeps what it finds out about its packages.
        packages: what ``$SPACK_PACKAGES`` stands for in the files that Spack reads.

    Raises:
        ToolError: it failed.
        TimedOut: it was ended.
    """
    scope = work / "scope"
    scope.mkdir(exist_ok=True)
    text = _BOOTSTRAP.format(root=json.dumps(str(work / "bootstrap")))
    (scope / "bootstrap.yaml").write_text(text)
    named = {"SPACK_PACKAGES": str(packages.root)} if packages else {}
    argv = [str(spack.root / "bin" / "spack"), "-C", str(scope), *arguments]
    try:
        return runner.run(
            ["timeout", "--kill-after=10", str(seconds), *argv],
            env={**_environment(work, cache), **named, "OUT": str(work)},
            cwd=work,
        )
    except ToolError as error:
        if error.exit_code == _TIMED_OUT:
            raise TimedOut(
                f"spack did not end within {seconds} s",
                hint="give it more: --time-limit SECONDS; or ask for less at once",
            ) from error
        raise


def _environment(home: Path, cache: Path) -> dict[str, str]:
    """All that Spack sees: nothing of the caller's but PATH, and the Python that runs it."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "SPACK_DISABLE_LOCAL_CONFIG": "1",
        "SPACK_USER_CONFIG_PATH": str(home / "user"),
        "SPACK_USER_CACHE_PATH": str(cache),
    }
    python = sys.executable if has_solver() else os.environ.get("SPACK_PYTHON")
    return {**environment, **({"SPACK_PYTHON": python} if python else {})}


def has_solver() -> bool:
    """Whether the Python that runs Stackwright has Spack's solver; else Spack's own may."""
    return find_spec("clingo") is not None
