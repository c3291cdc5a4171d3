"""Files whose next read comes from storage, not from memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's bytes are in storage."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Have a file leave the page cache, as far as the file system lets it: tmpfs has only that."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def stage(path: Path, folder: Path) -> Path:
    """Copy a file into a folder, and wait until it is there."""
    copy = folder / path.name
    shutil.copyfile(path, copy)
    sync(copy)
    return copy
