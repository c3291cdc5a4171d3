"""What Stackinator makes of the same specs: Makefiles, which are read and not run.

They compile a compiler first, in three stages, from its sources, which aren't here. Stackinator is
PyPI's, the last for Python below 3.12; it looks for files that Spack 1 has elsewhere, so that it
wants one before that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

import measure

COMPILER = "gcc@12.2.0"


def stackinator(spack: Path, specs: Sequence[str], folder: Path) -> dict[str, str]:
    """The cells of the table."""
    recipe, system, build = (folder / name for name in ("recipe-st", "system", "build"))
    for made in (recipe, system, folder / "mount"):
        made.mkdir()
    toolchain = [{"toolchain": "gcc", "spec": COMPILER}]
    write(recipe / "config.yaml", {"name": "bench", "spack": {"repo": str(spack), "commit": None}})
    write(
        recipe / "compilers.yaml", {"bootstrap": {"spec": COMPILER}, "gcc": {"specs": [COMPILER]}}
    )
    write(recipe / "environments.yaml", {"all": {"compiler": toolchain, "specs": [*specs]}})
    write(system / "compilers.yaml", {"compilers": [host_compiler()]})
    program = str(Path(sys.executable).with_name("stack-config"))
    named = [f"--{what}={path}" for what, path in (("recipe", recipe), ("system", system))]
    lasted, _ = measure.timed(
        [program, *named, f"--build={build}", f"--mount={folder / 'mount'}"], cwd=folder
    )
    outside = [path for path in build.rglob("*") if build / "spack" not in path.parents]
    decided = [path for path in outside if path.name == "spack.lock"]
    stamped = "date +%s" in (build / "Makefile").read_text()
    return {
        "to type": "`stack-config`, `make store.squashfs`",
        "before the build": f"{sum(map(Path.is_file, outside))} files in {lasted:.1f} s",
        "packages that are decided then": f"{'all' if decided else 'none'}: `make` concretizes",
        "taken as they are then": "the host's compiler; Spack by a commit, if the recipe names it",
        "one command of the build makes": "one environment; Spack's packages each for itself",
        "what is built, a second time": "other bytes: the time of the build is in its squashfs"
        if stamped
        else "not known",
        "built here": f"no: it compiles {COMPILER} first, whose sources are not here",
    }


def host_compiler() -> object:
    """The compiler with which Stackinator makes its own, as its manual has it."""
    paths = {"cc": "gcc", "cxx": "g++", "f77": "gfortran", "fc": "gfortran"}
    return {
        "compiler": {
            "spec": COMPILER,
            "paths": {name: f"/usr/bin/{program}" for name, program in paths.items()},
            "operating_system": "debian12",
            "target": "x86_64",
            "modules": [],
        }
    }


def write(path: Path, value: object) -> None:
    """A YAML file."""
    path.write_text(yaml.safe_dump(value))
