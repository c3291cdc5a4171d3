"""The store: finished build steps by the hash of their inputs, and the records of other stages.

A step's output appears under its final name by one rename, after everything in it is written; a
crash leaves only something under ``work/``, which the next try of the same step clears away.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from stackwright.canonical import canonical_json
from stackwright.certify.artefact import Artefact
from stackwright.certify.durable import sync_folder
from stackwright.errors import StackwrightError

# Paths in the store end up in modulefiles, job scripts and mount options.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+@-]*")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._/+@-]")


@dataclass(frozen=True)
class Store:
    """Paths of one store; see docs/formats.md.

    Args:
        on_wait: called with the name of a lock that another process holds, before it is waited for.

    Raises:
        StackwrightError: the path holds characters that modulefiles or mounts can't carry.
    """

    root: Path
    on_wait: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def __post_init__(self) -> None:
        """Accept plain absolute paths only."""
        if _PLAIN_PATH.fullmatch(str(self.root)) is None:
            raise StackwrightError(
                f"the store path {str(self.root)!r} {_wrong_with(str(self.root))}",
                hint="choose another with --store or STACKWRIGHT_STORE",
            )

    @property
    def log(self) -> Path:
        """Log of external commands."""
        return self.root / "commands.log"

    def path(self, relative: str) -> Path:
        """A record's path, which is relative to the store, as an absolute one."""
        return self.root / relative

    def relative(self, path: Path) -> str:
        """The form in which records name a path of the store."""
        return path.relative_to(self.root).as_posix()

    def step(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """The output folder of a step, built now if it isn't there.

        Args:
            kind: what is built, such as ``image``.
            key: hash of everything that the output depends on, ``sha256:<hex>``.
            build: fills the empty folder that it is given.

        Concurrent callers of one step wait for the first; nothing is built twice.
        """
        name = key.removeprefix("sha256:")
        final = self.root / "steps" / kind / name
        if final.is_dir():
            return final
        with self.lock(f"{kind}-{name}"):
            if final.is_dir():
                return final
            with self.scratch(f"{kind}-{name}") as work:
                build(work)
                final.parent.mkdir(parents=True, exist_ok=True)
                os.sync()  # cheaper than one fsync for each of 30,000 files
                work.rename(final)
            sync_folder(final.parent)
        return final

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A new folder under ``work/``, removed at the end unless it was renamed.

        Each try has its own: what a killed one left running can't write into the next one's. Hold
        the lock of this name, or be the only one who uses it.
        """
        parent = self.root / "work"
        parent.mkdir(parents=True, exist_ok=True)
        for leftover in parent.glob(f"{glob.escape(name)}.*"):
            remove_tree(leftover)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            remove_tree(folder)

    def step_log(self, kind: str, key: str) -> Path:
        """Where the output of a step's last run is kept."""
        return self.root / "logs" / f"{kind}-{key.removeprefix('sha256:')[:16]}.log"

    def has_step(self, kind: str, key: str) -> bool:
        """Whether the step's output is there."""
        return (self.root / "steps" / kind / key.removeprefix("sha256:")).is_dir()

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold an advisory lock; released by the kernel if this process dies.

        Args:
            wait: until whoever holds it lets it go; else False is yielded, and it isn't held.
        """
        path = self.root / "flock" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            held = _locked(descriptor)
            if wait and not held:
                self.on_wait(name)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield wait or held
        finally:
            os.close(descriptor)

    def write_artefact(self, artefact: Artefact) -> Path:
        """Record what a plan was built into; the last build of equal inputs stands."""
        path = self.artefact_path(artefact.plan_hash)
        write_atomic(path, canonical_json(artefact.model_dump(by_alias=True)) + b"\n")
        return path

    def read_artefact(self, plan_hash: str) -> Artefact | None:
        """What a plan was built into, or None if it wasn't, or if its files are gone."""
        path = self.artefact_path(plan_hash)
        if not path.is_file():
            return None
        artefact = Artefact.model_validate_json(path.read_bytes())
        parts = (artefact.image.oci, artefact.squashfs.path, artefact.prefix.path)
        return artefact if all(self.path(part).exists() for part in parts) else None

    def artefact_path(self, plan_hash: str) -> Path:
        """Where the record of a plan's artefact is kept."""
        return self.root / "artefacts" / f"{plan_hash.removeprefix('sha256:')}.json"


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file's content: readers see the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def remove_tree(root: Path) -> None:
    """Delete a tree if it is there, read-only folders included.

    Something that a killed build left running may still write into it: what can't be deleted now
    is left for the next time.
    """
    with suppress(OSError):
        for folder, _, _ in os.walk(root):
            Path(folder).chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)


def move_content(source: Path, target: Path) -> None:
    """Move everything in a folder into another one on the same file system."""
    for path in source.iterdir():
        path.rename(target / path.name)


def _wrong_with(path: str) -> str:
    """What keeps a path from being plain and absolute."""
    if strange := _NOT_PLAIN.search(path):
        return f"has {strange.group()!r} in it: only letters, digits and ._/+@- may be"
    return "must be absolute"
