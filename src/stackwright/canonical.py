"""Canonical JSON and the hashes of docs/formats.md: one definition for every stage."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackwright.errors import Location, StackwrightError

_CHUNK = 1 << 20
_NOT_CONTENT = frozenset({"__pycache__"})


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, ASCII, no newline at the end.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value has no JSON form.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def hash_bytes(data: bytes) -> str:
    """``sha256:<64 hex>`` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def hash_value(value: Any) -> str:
    """``sha256:<64 hex>`` of a value's canonical JSON."""
    return hash_bytes(canonical_json(value))


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda _more: None) -> str:
    """``sha256:<64 hex>`` of a file's bytes, read in pieces.

    Args:
        on_bytes: is told of each piece how many bytes it has.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            on_bytes(len(chunk))
    return f"sha256:{digest.hexdigest()}"


def hash_folder(root: Path) -> str:
    """Hash a content folder: names, bytes, link targets and the executable bit.

    Other permission bits, owners and times are left out: they differ between a checkout, a
    wheel and a copy of the same content. A folder that doesn't exist hashes like an empty one.

    Raises:
        StackwrightError: a link leads out of the folder, or to what is left out of it: to content
            that no hash would cover.
    """
    entries = sorted(_entries(root), key=lambda path: os.fsencode(path.relative_to(root)))
    return hash_value(
        [[path.relative_to(root).as_posix(), *_content(path, root)] for path in entries]
    )


def check_inside(path: Path, root: Path) -> None:
    """Check that a path, with all links followed, stays in a folder.

    Raises:
        StackwrightError: it leads out of it.
    """
    if root.resolve() not in path.resolve().parents:
        raise _not_hashed(path, f"out of {root}")


def _not_hashed(path: Path, where: str) -> StackwrightError:
    return StackwrightError(
        f"the link leads {where}, where nothing is reviewed or hashed",
        where=Location(path),
        hint="put a copy in its place",
    )


def _entries(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in _NOT_CONTENT]
        found += [Path(folder, name) for name in (*files, *links)]
    return found


def _content(path: Path, root: Path) -> tuple[str, str]:
    if path.is_symlink():
        check_inside(path, root)
        target = path.readlink()
        through = {*target.parts, *path.resolve().relative_to(root.resolve()).parts}
        if ignored := sorted(_NOT_CONTENT & through):
            raise _not_hashed(path, f"into {ignored[0]}")
        return "link", str(target)
    kind = "executable" if path.stat().st_mode & stat.S_IXUSR else "file"
    return kind, hash_file(path)
