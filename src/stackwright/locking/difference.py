"""What differs between two locks, package by package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Part = Literal["wheels", "base", "toolchain", "spack", "solver"]
"""What a package is of: Python's, Debian's in the base or beside it, Spack's, or what solved."""


@dataclass(frozen=True)
class Difference:
    """One fact of one package that two locks tell differently; None where one says nothing.

    Args:
        what: ``version``, ``file``, ``digest``, ``target``, ``compiler``, or a variant of Spack.
    """

    part: Part
    package: str
    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        """The fact without its package; a version needs no name."""
        if self.what == "version":
            return f"{self.old or '(absent)'} -> {self.new or '(absent)'}"
        return f"{self.what} {self.old or '(none)'} -> {self.new or '(none)'}"


def between(
    part: Part, what: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Difference]:
    """The packages of which two locks tell a fact differently, by name."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Difference(part, name, what, old.get(name), new.get(name))


def told(differences: Iterable[Difference]) -> list[str]:
    """A line for each package, in the order given."""
    lines = []
    for (part, package), facts in groupby(differences, lambda one: (one.part, one.package)):
        prefix = f"{part}: " if part in ("toolchain", "solver") else ""
        lines.append(f"{prefix}{package} {', '.join(map(str, facts))}")
    return lines
