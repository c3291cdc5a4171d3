"""The base root file system: made for the lock, checked against it when it is made again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from stackwright.canonical import hash_file
from stackwright.errors import ExitCode, StackwrightError
from stackwright.locking.difference import told
from stackwright.locking.locks import Base, drift
from stackwright.plans.plan import Plan

ROOTFS = "rootfs.tar"
_SHOWN = 10
_PYTHON = re.compile(r"python(3\.[0-9]+)")


def read_base(out: Path, source: str) -> Base:
    """What the first step of a recipe has made."""
    lines = (out / "packages.txt").read_text().splitlines()
    return Base(
        source=source,
        digest=hash_file(out / ROOTFS),
        packages=dict(line.split("=", 1) for line in lines),
    )


def check_python(base: Base, plan: Plan) -> None:
    """Check that a base has the Python that the plan's wheels are for.

    Raises:
        StackwrightError: it has another one, or none.
    """
    if error := other_python(plan, base.packages):
        raise error


def other_python(plan: Plan, packages: Iterable[str]) -> StackwrightError | None:
    """What to say when a Debian base of these packages lacks the Python that the plan wants.

    What an image brings is not known by its packages.
    """
    found = pythons(packages)
    if plan.python in found or plan.base.kind != "debian":
        return None
    has = f"has Python {' and '.join(found)}" if found else "has no Python"
    mend = f'in the stack file say python: "{found[0]}", or ' if found else ""
    return StackwrightError(
        f"{plan.label} wants Python {plan.python}, but the base {plan.base.source} {has}",
        hint=f"{mend}name python{plan.python} among the base's packages in the system file",
    )


def pythons(packages: Iterable[str]) -> list[str]:
    """The versions of Python among the names of Debian packages."""
    return [match[1] for name in packages if (match := _PYTHON.fullmatch(name))]


def check_base(locked: Base, made: Base, label: str, what: str = "base") -> None:
    """Compare a base that was just made with the locked one.

    Args:
        what: what it is called: the base, or the toolchain.

    Raises:
        StackwrightError: Debian no longer serves what was locked.
    """
    if made.digest == locked.digest:
        return
    changes = drift(locked, made)
    shown = [f"  {line}" for line in told(changes)[:_SHOWN]]
    more = [f"  and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
    differ = "1 package differs" if len(changes) == 1 else f"{len(changes)} packages differ"
    found = differ if changes else "the packages are the same, the files not"
    raise StackwrightError(
        "\n".join([f"the {what} is not the locked one: {found}", *shown, *more]),
        hint=f"take what {locked.source} is now: stackwright lock --base-only '{label}'",
        code=ExitCode.MOVED_ON,
    )
