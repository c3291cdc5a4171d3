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
        defines: the newest version of which it defines symbols; only glibc itself does.
    """

    machine: str
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    glibc: tuple[int, ...] | None
    defines: tuple[int, ...] | None


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
        glibc=max(_numbers(_needed_versions(elf)), default=None),
        defines=max(_numbers(_defined_versions(elf)), default=None),
    )


def _needed_versions(elf: ELFFile) -> Iterator[str]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                yield from (version.name for version in versions)


def _defined_versions(elf: ELFFile) -> Iterator[str]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerDefSection):
            for _, names in section.iter_versions():
                yield next(names).name


def _numbers(versions: Iterator[str]) -> Iterator[tuple[int, ...]]:
    """Those of glibc's symbols, as numbers; GLIBC_PRIVATE and the like have none."""
    for version in versions:
        number = version.removeprefix(_GLIBC)
        if version.startswith(_GLIBC) and number[:1].isdigit():
            yield tuple(int(part) for part in number.split("."))
