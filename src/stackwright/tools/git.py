"""The program `git`: what a site's files were at an earlier revision."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner, ToolError


def files_at(root: Path, revision: str, folder: str, runner: Runner) -> Mapping[str, bytes]:
    """The files of a folder as a revision has them, by their names; none if it has no such folder.

    Args:
        root: a folder of a checkout.
        revision: what git takes for a commit: a branch, a tag, ``HEAD~3``.
        folder: relative to ``root``.

    Raises:
        StackwrightError: the root is of no checkout, or the revision is no commit of it.
    """
    git = ["git", "-C", str(root)]
    commit = _commit(git, root, revision, runner)
    if not runner.run([*git, "ls-tree", commit, f"{folder}/"]):
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "files.tar")
        runner.run([*git, "archive", "--format=tar", f"--output={archive}", commit, folder])
        with tarfile.open(archive) as tar:
            members = ((Path(one.name).name, tar.extractfile(one)) for one in tar if one.isfile())
            return {name: file.read() for name, file in members if file is not None}


def _commit(git: list[str], root: Path, revision: str, runner: Runner) -> str:
    try:
        runner.run([*git, "rev-parse", "--git-dir"])
    except ToolError as error:
        raise StackwrightError(
            f"{root} is no checkout of git, so that it has no earlier revisions", hint=error.tail
        ) from error
    wanted = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    try:
        return runner.run([*git, *wanted]).strip()
    except ToolError as error:
        raise StackwrightError(
            f"'{revision}' is no commit of {root}",
            hint=f"name a branch, a tag or a commit: git -C {root} log --oneline -- stacks/locks",
        ) from error
