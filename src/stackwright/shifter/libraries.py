"""Rules about shared libraries: whether those of the host can take the place of the image's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stackwright.shifter.contents import Entry, Image
from stackwright.shifter.flaws import Flaw, Host

_SWAPPED = re.compile(r"lib(mpi[a-z0-9_]*|cuda|nvidia-[a-z0-9-]+)\.so(\.[\d.]+)?")
_MPI = re.compile(r"libmpi\.so\.\d+")
_DRIVER = re.compile(r"lib(cuda|nvidia-[a-z0-9-]+)\.so(\.[\d.]+)?")
_STUBS = "stubs"
"""The folder of CUDA in which driver libraries are for linking alone."""
_RESET = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?LD_LIBRARY_PATH=(?![^\n]*LD_LIBRARY_PATH)"
    rb"|^[ \t]*unset[ \t][^\n#]*\bLD_LIBRARY_PATH\b|\benv[ \t][^\n#]*-u[ \t]*LD_LIBRARY_PATH\b",
    re.MULTILINE,
)
_SCRIPT = 64 * 1024


def fixed_paths(image: Image, _: Host) -> Iterator[Flaw]:
    """SH14: files that find MPI or the driver by DT_RPATH, where the host's is not looked for."""
    names = _looked_for(image)
    for path, elf in sorted(image.elves.items()):
        folders = [_expanded(folder, path) for folder in elf.rpath]
        found = [f"{folder}/{name}" for folder in folders for name in sorted(names[path])]
        held = next((each for each in found if image.find(each) is not None), None)
        if held is not None:
            what = f"by its DT_RPATH it takes {held}, before LD_LIBRARY_PATH leads to the host's"
            fix = f"patchelf --set-rpath '{':'.join(elf.rpath)}' {path}, which makes it DT_RUNPATH"
            yield Flaw(path, what, fix)


def _looked_for(image: Image) -> Mapping[str, frozenset[str]]:
    """By file, the libraries of the host that the dynamic loader looks for by its DT_RPATH.

    These are what it needs, and what its libraries need unless they have DT_RUNPATH (ld.so(8); the
    loader's elf/dl-load.c, _dl_map_object).
    """
    elves = image.elves
    by_name = {elf.soname or path.rpartition("/")[2]: path for path, elf in elves.items()}
    needs = {
        path: [by_name[name] for name in elf.needed if name in by_name]
        for path, elf in elves.items()
    }
    names = {path: frozenset(filter(_SWAPPED.fullmatch, elf.needed)) for path, elf in elves.items()}
    while True:
        grown = {
            path: names[path].union(
                *(names[each] for each in needs[path] if not elves[each].runpath)
            )
            for path in elves
        }
        if grown == names:
            return names
        names = grown


def _expanded(folder: str, path: str) -> str:
    """A folder of DT_RPATH, with $ORIGIN for where its file is."""
    origin = path.rpartition("/")[0]
    return folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)


def other_mpi(image: Image, host: Host) -> Iterator[Flaw]:
    """SH14: an MPI that the site's can't take the place of; harmless where the site has none."""
    for path, elf in sorted(image.elves.items()):
        if elf.soname and _MPI.fullmatch(elf.soname) and elf.soname != host.mpi:
            what = f"it is {elf.soname}, and the site's MPI takes the place of {host.mpi} only"
            fix = "build the stack with MPICH, or with an MPI of its ABI"
            yield Flaw(path, what, fix, harmless=not host.has_mpi)


def own_driver(image: Image, _: Host) -> Iterator[Flaw]:
    """SH14: libraries of the GPU's driver, which has to be the host's."""
    for entry in sorted(image.entries.values(), key=lambda each: each.path):
        stub = f"/{_STUBS}/" in entry.path
        if entry.kind in ("file", "link") and _DRIVER.fullmatch(entry.name) and not stub:
            what = "the driver's library comes from the host, and this one may be found first"
            yield Flaw(
                entry.path, what, "leave it out: packages of the driver don't go into images"
            )


def old_glibc(image: Image, host: Host) -> Iterator[Flaw]:
    """SH14: libraries of the host that need a newer glibc than the image has."""
    has = max((elf.is_glibc for elf in image.elves.values() if elf.is_glibc), default=None)
    for soname, needs in sorted(host.libraries.items()):
        if has is not None and tuple(map(int, needs.split("."))) > has:
            version = ".".join(map(str, has))
            what = f"the image's glibc is {version}, and the host's {soname} needs {needs}"
            yield Flaw("libc.so.6", what, "name a newer 'suite' in the base of the system's file")


def reset_paths(image: Image, _: Host) -> Iterator[Flaw]:
    """SH14: commands that forget the LD_LIBRARY_PATH by which the host's libraries are found."""
    for entry in _scripts(image):
        if _RESET.search(image.head(entry.path, _SCRIPT)):
            what = "it resets LD_LIBRARY_PATH, by which the host's MPI and driver are found"
            fix = "add to it: LD_LIBRARY_PATH=FOLDER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
            yield Flaw(entry.path, what, fix)


def _scripts(image: Image) -> Iterator[Entry]:
    """The scripts that users run by their names, and what their shells read first."""
    yield from (entry for entry in image.directly_in("/etc/profile.d") if entry.kind == "file")
    folders = image.config.variables.get("PATH", "").split(":")
    for folder in dict.fromkeys(filter(None, folders)):
        found = image.find(folder)
        for entry in image.directly_in(found.path) if found else ():
            if entry.kind == "file" and image.head(entry.path, 2) == b"#!":
                yield entry
