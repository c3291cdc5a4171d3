"""The tree hash of an installed prefix: the one definition, used by the engine and by the cases."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The manifest states the tree hash, so it cannot be part of what is hashed.
EXCLUDED = b"share/stackwright/manifest.json"
BLOCK_BYTES = 1 << 20
WORKERS = 4


def tree_hash(root: Path | str) -> str:
    """Hash every name, mode and byte under `root`; `sha256:<64 hex>`.

    One line per entry in bytewise order of the path relative to `root`:
    `f <mode> <sha256 of the content> <path>`, `l 0 <sha256 of the target> <path>` or
    `d <mode> - <path>`, modes in octal without leading zeros. Owners and times are left out: they
    differ between an image and an unpacked prefix of the same bytes.

    Raises:
        OSError: if anything below `root` cannot be read.
        ValueError: for a device, socket or FIFO, or a line break in a name (with which one tree
            could pretend to be another).
    """
    base = Path(root)
    entries = sorted((os.fsencode(path.relative_to(base)), path) for path in _walk(base))
    wanted = [(name, path) for name, path in entries if name != EXCLUDED]
    with ThreadPoolExecutor(WORKERS) as pool:
        digest = hashlib.sha256(b"".join(pool.map(_line, *zip(*wanted, strict=True))))
    return f"sha256:{digest.hexdigest()}"


def _walk(base: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(base, onerror=refuse):
        for name in (*folders, *files):
            yield Path(folder, name)


def _line(name: bytes, path: Path) -> bytes:
    if b"\n" in name:
        raise ValueError(f"line break in the name {os.fsdecode(name)!r}: rename the file")
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
        return b"l 0 %s %s\n" % (target.encode(), name)
    if stat.S_ISDIR(mode):
        return b"d %o - %s\n" % (stat.S_IMODE(mode), name)
    if stat.S_ISREG(mode):
        return b"f %o %s %s\n" % (stat.S_IMODE(mode), _file_digest(path).encode(), name)
    raise ValueError(f"{os.fsdecode(name)!r} is not a file, a link or a folder: remove it")


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
