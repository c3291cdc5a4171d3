"""Writing files so that a crash, even of the machine, leaves the old state or the new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk; a rename is durable only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_public_folder(folder: Path) -> None:
    """Create a folder, and those above it, that everyone may enter whatever the umask."""
    if folder.is_dir():
        return
    make_public_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def write_synced(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Create ``path`` (which must not exist) with exactly this mode, and flush it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def publish_new(path: Path, data: bytes, mode: int = 0o644, *, scratch: Path | None = None) -> None:
    """Make ``path`` appear whole, or not at all.

    The draft lies in ``scratch`` (same file system; the path's own folder by default), which is
    where a crash leaves it.

    Raises:
        FileExistsError: there is one already; it is left as it was.
    """
    make_public_folder(path.parent)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=scratch or path.parent) as folder:
        draft = Path(folder, "draft")
        write_synced(draft, data, mode)
        # link(2), unlike rename(2), never replaces what is there.
        os.link(draft, path)
    sync_folder(path.parent)
