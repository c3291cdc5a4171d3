"""The base root file system: made for the lock, checked against it when it is made again."""

from __future__ import annotations

from pathlib import Path

from stackwright.canonical import hash_file
from stackwright.errors import ExitCode, StackwrightError
from stackwright.locking.locks import Base, Lock, drift

ROOTFS = "rootfs.tar"
_SHOWN = 10


def read_base(out: Path, source: str) -> Base:
    """What the first step of a recipe has made."""
    lines = (out / "packages.txt").read_text().splitlines()
    return Base(
        source=source,
        digest=hash_file(out / ROOTFS),
        packages=dict(line.split("=", 1) for line in lines),
    )


def check_base(lock: Lock, made: Base) -> None:
    """Compare a base that was just made with the locked one.

    Raises:
        StackwrightError: Debian no longer serves what was locked.
    """
    if made.digest == lock.base.digest:
        return
    changes = drift(lock.base, made)
    shown = [f"  {line}" for line in changes[:_SHOWN]]
    more = [f"  and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
    what = (
        f"{len(changes)} packages differ" if changes else "the packages are the same, the files not"
    )
    raise StackwrightError(
        "\n".join([f"the base is not the locked one: {what}", *shown, *more]),
        hint=f"take what {lock.base.source} is now: stackwright lock --base-only '{lock.label}'",
        code=ExitCode.MOVED_ON,
    )
