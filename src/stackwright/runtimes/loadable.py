"""Whether what a site injects can be loaded inside an image: asked before anything runs there.

Pure functions of what ELF files say. The rules are the dynamic loader's (ld.so(8)): a library must
be for the same processor, everything that it needs must be found by its name, and the image's glibc
must have the versions of symbols that it was linked against.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stackwright.elf import Elf
from stackwright.inputs.injections import Injection

MPI = re.compile(r"libmpi(?:_[a-z]+)?\.so\.\d+")
"""libmpi.so.12 has MPICH's ABI (https://www.mpich.org/abi/), libmpi.so.40 Open MPI's."""

DRIVER_FILE = re.compile(r"libcuda\.so\.(\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class Inside:
    """What an image offers to libraries that are injected into it.

    Args:
        machine: its processor, as ELF names it; None where no glibc says so.
        libraries: the names under which its loader finds libraries.
        glibc: the version of its glibc.
        mpi: the names of MPI libraries that its programs and extensions need.
    """

    machine: str | None
    libraries: frozenset[str]
    glibc: tuple[int, ...] | None
    mpi: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Brought:
    """The libraries that one injection brings from this host, each by its path in the container.

    Args:
        injection: what the site's file says.
        files: the ELF files among what is bound or copied.
        targets: the name of the file on this host that each path leads to.
    """

    injection: Injection
    files: Mapping[str, Elf]
    targets: Mapping[str, str]


def problems(
    brought: Sequence[Brought], inside: Inside, driver: str | None = None
) -> Iterator[str]:
    """What would not load, or not be used; one line each, with what is wrong and with which file.

    Args:
        driver: the version of the kernel's GPU driver on this host, where it has one.
    """
    offered = {name for each in brought for name in _names(each)}
    for each in brought:
        who = f"injection {each.injection.name}"
        for path, elf in each.files.items():
            for wrong in _unloadable(elf, offered, inside):
                yield f"{who}: {path} {wrong}"
        for wrong in (*_missing(each), *_other_mpi(each, inside), *_other_driver(each, driver)):
            yield f"{who}: {wrong}"


def _names(brought: Brought) -> Iterator[str]:
    """The names under which the loader would find its files."""
    for path, elf in brought.files.items():
        yield path.rpartition("/")[2]
        if elf.soname:
            yield elf.soname


def _unloadable(elf: Elf, offered: set[str], inside: Inside) -> Iterator[str]:
    if inside.machine is None:
        yield "needs glibc, and the image has none where a loader would find it"
        return
    if elf.machine != inside.machine:
        yield f"is for {elf.machine}, and the image for {inside.machine}"
        return
    lacking = [
        name for name in elf.needed if name.rpartition("/")[2] not in offered | inside.libraries
    ]
    if lacking:
        yield f"needs {', '.join(lacking)}, which neither the image nor an injection has"
    if elf.glibc and inside.glibc and elf.glibc > inside.glibc:
        yield f"needs glibc {_version(elf.glibc)}, and the image has {_version(inside.glibc)}"


def _missing(brought: Brought) -> Iterator[str]:
    """What it says it brings, and doesn't; where nothing is bound, the run time brings it."""
    if brought.injection.bind or brought.injection.copied:
        names = {*_names(brought)}
        for library in brought.injection.libraries:
            if library.soname not in names:
                yield f"nothing of what it binds is {library.soname}, which it says it brings"


def _other_mpi(brought: Brought, inside: Inside) -> Iterator[str]:
    """An MPI of another ABI would not take the place of the image's, and two would be loaded."""
    mine = {name for name in _names(brought) if MPI.fullmatch(name)}
    if mine and inside.mpi and not mine & inside.mpi:
        yield (
            f"it brings {', '.join(sorted(mine))}, and the stack is built for"
            f" {', '.join(sorted(inside.mpi))}: the site's MPI would not be used"
        )


def _other_driver(brought: Brought, driver: str | None) -> Iterator[str]:
    """libcuda of another version than the kernel's module refuses to work (error 803)."""
    found = (DRIVER_FILE.fullmatch(name) for name in brought.targets.values())
    versions = {match[1] for match in found if match}
    if driver and versions - {driver}:
        told = ", ".join(sorted(versions))
        yield f"it brings libcuda {told}, and the kernel's driver is {driver}"


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
