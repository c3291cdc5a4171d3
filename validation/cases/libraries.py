"""Every library and program of the stack finds the shared libraries that it needs.

The dynamic loader itself is asked, as ldd asks it: it looks the libraries up and runs no code.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from emit import Emitter, listed

ELF = b"\x7fELF"
LOADER = re.compile(r"(?<=\s)/\S*/ld(?:-linux|64|-musl)?[^/\s]*\.so[.\d]*$", re.MULTILINE)
FOUND = re.compile(r"^\s*(\S+) => (/\S+|not found)", re.MULTILINE)
VERSION = re.compile(r"version `\S+' not found \(required by \S+\)")
# Where a base system keeps its libraries.
SYSTEM = tuple(Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64"))
# What images/layer.py copies of the base for Python alone: others find the base's own.
FOR_PYTHON = Path("lib/runtime")
# The library that is an MPI, by its family: programs link one of these names.
MPI = {
    "libmpi.so.12": "MPICH",
    "libmpich.so.12": "MPICH",
    "libmpi.so.40": "Open MPI",
    "libmpi.so.20": "Open MPI",
}
# What auditwheel adds to the name of a library that it copies into a wheel.
COPIED = re.compile(r"-[0-9a-f]{8}(?=\.so)")


@dataclass(frozen=True)
class Needs:
    """What the loader says of a file.

    Args:
        found: where each library that is needed was found, directly or by another.
        missing: the names of those that weren't.
        versions: what it complains of: symbols that a library is too old to have.
    """

    file: Path
    found: dict[str, Path]
    missing: set[str]
    versions: list[str]


def loader() -> str:
    """Find the dynamic loader that loaded this process."""
    match = LOADER.search(Path("/proc/self/maps").read_text())
    if match is None:
        raise RuntimeError("this Python was not loaded by a dynamic loader")
    return match[0]


def binaries(prefix: Path) -> Iterator[Path]:
    """Give every library and program under the prefix, links aside."""
    for folder, _, names in os.walk(prefix):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(len(ELF)) == ELF:
                        yield path


def ask(program: str, file: Path) -> Needs:
    """Ask the loader about a file; a static one needs nothing."""
    said = subprocess.run(
        [program, str(file)],
        check=False,
        env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout
    places = FOUND.findall(said)
    found = {name: Path(place) for name, place in places if place != "not found"}
    missing = {name for name, place in places if place == "not found"}
    return Needs(file, found, missing, VERSION.findall(said))


def astray(needs: Needs, prefix: Path, injected: str, own: Collection[str]) -> list[str]:
    """Name the libraries that come from neither the stack, the site nor the base system.

    The base system's counts only where the stack has none of the name (``own``).
    """
    roots = (prefix, *(Path(place).resolve() for place in injected.split(":") if place))
    places = ((name, place.resolve()) for name, place in needs.found.items())
    return [
        str(place)
        for name, place in places
        if not any(place.is_relative_to(r) for r in (*roots, *(() if name in own else SYSTEM)))
    ]


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--injected", default="", help="names of libraries that systems bring")
    parser.add_argument("--plugins", default="", help="patterns of files that need not load")
    options = parser.parse_args()
    injected, plugins = set(options.injected.split(",")), options.plugins.split(",")

    with Emitter() as out:
        prefix = Path(sys.prefix).resolve()
        files = list(binaries(prefix))
        program = loader()
        asked = [ask(program, file) for file in files]
        # What is loaded already is not looked up again: wheels load their libraries by path first.
        there = [*files, *prefix.rglob("*.so*")]
        own = {path.name for path in there}

        # mpi4py's wheels have a module for each ABI; only that of the stack's MPI is ever loaded.
        mine = {COPIED.sub("", name) for name in own} & MPI.keys()
        left = own | injected | (MPI.keys() if mine else set())
        whole = [n for n in asked if not any(fnmatchcase(n.file.name, like) for like in plugins)]
        missing = {name: needs.file for needs in whole for name in needs.missing - left}
        lost = sorted(f"{name} for {file.relative_to(prefix)}" for name, file in missing.items())
        out.check(
            "libraries_found", bool(files) and not lost, f"{len(files)} files: {listed(lost)}"
        )

        old = sorted({line for needs in asked for line in needs.versions})
        out.check("symbol_versions", not old, f"too old: {listed(old)}")

        places = os.environ.get("STACKWRIGHT_INJECTED", "")
        shared = {path.name for path in there if not path.is_relative_to(prefix / FOR_PYTHON)}
        strays = sorted({path for needs in asked for path in astray(needs, prefix, places, shared)})
        out.check("libraries_from_stack", not strays, f"from elsewhere: {listed(strays)}")

        families = sorted({MPI[name] for name in mine})
        out.check("one_mpi_family", len(families) <= 1, f"in the stack: {listed(families)}")

        absent = {name for needs in asked for name in needs.missing} - own
        out.info("left to the system", sorted(absent & injected))


if __name__ == "__main__":
    main()
