"""What an ELF file asks of the dynamic loader, and what it offers: no code of it is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

MAGIC = b"\x7fELF"
_GLIBC = "GLIBC_"


@dataclass(frozen=True)
class Elf:
    """A program or shared library that the dynamic loader starts or maps.

    Args:
        machine: the processor, as ELF names it: ``EM_X86_64``.
        soname: the name by which others need it; None for a program.
        needed: the names of the libraries that it needs, in its order.
        rpath: folders of DT_RPATH, which are searched before LD_LIBRARY_PATH.
        runpath: folders of DT_RUNPATH, which are searched after it.
        glibc: the newest version of glibc of which it needs a symbol, such as (2, 34).
        is_glibc: its own version, if it is glibc itself.
    """

    machine: str
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    glibc: tuple[int, ...] | None
    is_glibc: tuple[int, ...] | None = None


def read_elf(file: BinaryIO) -> Elf | None:
    """Read a file that was opened at its beginning; None if the dynamic loader has no part in it.

    A file that is cut short, or whose tables lead nowhere, is None as well: it could not be loaded.
    """
    if file.read(len(MAGIC)) != MAGIC:
        return None
    try:
        return _read(ELFFile(file))
    except (ELFError, ValueError, UnicodeDecodeError, AttributeError):
        return None


def _read(elf: ELFFile) -> Elf | None:
    dynamic = next((s for s in elf.iter_segments() if isinstance(s, DynamicSegment)), None)
    if dynamic is None:
        return None
    tags = [*dynamic.iter_tags()]

    def told(name: str, attribute: str) -> tuple[str, ...]:
        return tuple(getattr(tag, attribute) for tag in tags if tag.entry.d_tag == name)

    def folders(name: str, attribute: str) -> tuple[str, ...]:
        return tuple(part for text in told(name, attribute) for part in text.split(":") if part)

    return Elf(
        machine=elf["e_machine"],
        soname=next(iter(told("DT_SONAME", "soname")), None),
        needed=told("DT_NEEDED", "needed"),
        rpath=folders("DT_RPATH", "rpath"),
        runpath=folders("DT_RUNPATH", "runpath"),
        glibc=max(_glibc_versions(elf, GNUVerNeedSection), default=None),
        is_glibc=max(_glibc_versions(elf, GNUVerDefSection), default=None),
    )


def _glibc_versions(
    elf: ELFFile, kind: type[GNUVerNeedSection | GNUVerDefSection]
) -> Iterator[tuple[int, ...]]:
    """The versions of glibc's symbols that it needs or defines; GLIBC_PRIVATE has no number."""
    for section in elf.iter_sections():
        if isinstance(section, kind):
            for name in _version_names(section):
                number = name.removeprefix(_GLIBC)
                if number != name and number[0].isdigit():
                    yield tuple(int(part) for part in number.split("."))


def _version_names(section: GNUVerNeedSection | GNUVerDefSection) -> Iterator[str]:
    """A needed version has a name of its own; a defined one that of its first auxiliary entry."""
    for _, versions in section.iter_versions():
        for version in versions:
            yield version.name
