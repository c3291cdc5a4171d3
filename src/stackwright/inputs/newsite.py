"""A centre's own copy of the shipped content."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from shlex import quote

from stackwright.errors import StackwrightError
from stackwright.inputs.site import is_site, new_folder, shipped_content, takes_a_site

FOLDERS = ("stacks", "systems", "images", "modules", "recipes", "validation", "docs", "examples")
README = "README.md"


def init_site(target: Path) -> None:
    """Give a centre its own copy of the shipped content, whole or not at all.

    Raises:
        StackwrightError: the target exists and isn't an empty folder, or can't be written.
    """
    if not takes_a_site(target):
        raise StackwrightError(
            f"{target} is there already and not an empty folder",
            hint=f"it is a site: cd {quote(str(target))} && stackwright list"
            if is_site(target)
            else _elsewhere(target),
        )
    if target.resolve() == Path.cwd():
        raise StackwrightError(
            "the current directory can't be replaced while you are in it",
            hint=_elsewhere(target),
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            whole = Path(scratch, "site")
            _copy_content(shipped_content(), whole)
            whole.replace(target)
    except OSError as error:
        raise StackwrightError(f"can't make a site in {target}: {error.strerror}") from error


def _copy_content(source: Path, whole: Path) -> None:
    leave = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in FOLDERS:
        if (source / folder).is_dir():
            shutil.copytree(source / folder, whole / folder, symlinks=True, ignore=leave)
        else:
            (whole / folder).mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("site-readme.md"), whole / README)


def _elsewhere(target: Path) -> str:
    return f"name a new folder: stackwright init {quote(str(new_folder(target)))}"
