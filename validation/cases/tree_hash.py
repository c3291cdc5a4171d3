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
MAX_LINKS = 40  # as many as Linux follows for one name (path_resolution(7))


def tree_hash(root: Path | str) -> str:
    """Hash every name, mode and byte under `root`; `sha256:<64 hex>`.

    One line per entry in bytewise order of the path relative to `root`:
    `f <mode> <sha256 of the content> <path>`, `l 0 <sha256 of the target> <path>` or
    `d <mode> - <path>`, modes in octal without leading zeros. Owners and times are left out: they
    differ between an image and an unpacked prefix of the same bytes.

    Raises:
        OSError: if anything below `root` cannot be read.
        ValueError: for a device, socket or FIFO, or a line break in a name (with which one tree
            could pretend to be another), or a link out of `root`: what it leads to is no part of
            the hash, and whoever can write there would change what runs.
    """
    base = Path(root)
    entries = sorted((os.fsencode(path.relative_to(base)), path) for path in _walk(base))
    for _, path in entries:
        if path.is_symlink() and leads_out(path, base):
            name = path.relative_to(base)
            raise ValueError(f"the link {name} leads out of the prefix, to {path.readlink()}")
    wanted = [(name, path) for name, path in entries if name != EXCLUDED]
    with ThreadPoolExecutor(WORKERS) as pool:
        digest = hashlib.sha256(b"".join(pool.map(_line, *zip(*wanted, strict=True))))
    return f"sha256:{digest.hexdigest()}"


def leads_out(link: Path, root: Path) -> bool:
    """Whether a link leaves the folder on its way, by itself or through another; or has no end.

    It is followed name by name, as the kernel does: `..` behind a link is not the folder that it
    seems to be, and a way out and in again would lead elsewhere where the folder has another name.
    What it leads to need not be there.
    """
    at, todo, followed = [*link.relative_to(root).parts[:-1]], [link.name], 0
    while todo:
        part = todo.pop()
        here = root.joinpath(*at, part)
        if part == "..":
            if not at:
                return True
            at.pop()
        elif here.is_symlink():
            target, followed = here.readlink(), followed + 1
            if target.is_absolute() or followed > MAX_LINKS:
                return True
            todo += reversed(target.parts)
        else:
            at.append(part)
    return False


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
