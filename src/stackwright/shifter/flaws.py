"""What rules find in an image, and what they know of the place where it will run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from stackwright.inputs.injections import Injection
from stackwright.inputs.systems import System
from stackwright.shifter.contents import Image

ASSEMBLED = ("/", "/etc", "/var", "/opt")
"""The folders that Shifter puts together entry by entry (src/shifter_core.c, bindImageIntoUDI)."""


@dataclass(frozen=True)
class Flaw:
    """Something in an image that Shifter changes, loses or refuses.

    Args:
        where: a path in the image, or a setting of its configuration.
        what: what becomes of it.
        fix: what to change in the stack.
        harmless: whether a command in the image does the same without it.
    """

    where: str
    what: str
    fix: str
    harmless: bool = False


@dataclass(frozen=True)
class Host:
    """What a system's file says about the place where an image will run.

    Args:
        mounts: where the site's file systems are.
        libraries: what the host puts into containers: by soname, the glibc that it needs.
        mpi: the soname of the MPI that can take the place of the image's.
        has_mpi: whether the system's file states one at all.
    """

    mounts: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    mpi: str = "libmpi.so.12"
    has_mpi: bool = True


_MPI = {"mpich": "libmpi.so.12", "openmpi": "libmpi.so.40"}
"""The soname of each ABI (https://www.mpich.org/abi/)."""

Check = Callable[[Image, Host], Iterator[Flaw]]


def host_of(system: System, injections: Iterable[Injection]) -> Host:
    """Gather what rules want to know of a system."""
    libraries = [library for each in injections for library in each.libraries]
    abi = system.mpi.abi if system.mpi else None
    return Host(
        mounts=tuple(mount.path for mount in system.mounts),
        libraries={each.soname: each.glibc for each in libraries if each.glibc},
        mpi=_MPI[abi or "mpich"],
        has_mpi=system.mpi is not None,
    )


def several(count: int, noun: str) -> str:
    """How many there are: ``1 file``, ``3 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def assembled_name(path: str) -> str:
    """The entry of an assembled folder in which a path is: ``/global`` of ``/global/cfs``."""
    parts = PurePosixPath(path).parts
    deep = f"/{parts[1]}" in ASSEMBLED if len(parts) > 2 else False  # noqa: PLR2004
    return str(PurePosixPath(*parts[: 3 if deep else 2]))
