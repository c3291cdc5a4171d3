"""The stack imports, is the stack that was asked for, and cannot be shadowed by a user's files."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import site
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from emit import Emitter, listed
from frameworks import expected_versions, findings, frameworks, load

# What a stack of any framework has.
COMMON = ("numpy", "mpi4py", "h5py")
OPENMP = re.compile(r"lib(gomp|iomp5|omp)\b.*\.so")
# Also under the names that auditwheel gives to what it copies into wheels: libmpi-1a2b3c4d.so.12.
MPI = re.compile(r"libmpi(ch|_abi)?(-[0-9a-f]+)?\.so")


def installed_version(name: str) -> str | None:
    """Give the version of an installed package; None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def compared(found: dict[str, str | None], expected: dict[str, str]) -> str:
    """Say which versions aren't those that are locked."""
    differences = [
        f"{name} {found[name] or 'is missing'}, locked {wanted}"
        for name, wanted in expected.items()
        if found[name] != wanted
    ]
    agree = f"all {len(expected)} as locked" if expected else "no versions were asked"
    return "; ".join(differences) or agree


def outside(modules: list[ModuleType], prefix: str) -> list[str]:
    """Name the files of modules that do not lie under the prefix."""
    root = Path(prefix).resolve()
    files = [Path(str(module.__file__)).resolve() for module in modules]
    return [str(file) for file in files if root not in file.parents]


def file_found_with_decoy(module: str) -> str:
    """Import `module` in a fresh interpreter whose user site holds a fake of that name."""
    with tempfile.TemporaryDirectory() as base:
        user_site = sysconfig.get_path("purelib", "posix_user", vars={"userbase": base})
        fake = Path(user_site) / module
        fake.mkdir(parents=True)
        (fake / "__init__.py").touch()
        program = f"import {module}; print({module}.__file__)"
        return subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            env={**os.environ, "PYTHONUSERBASE": base},
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()


def mapped(pattern: re.Pattern[str]) -> list[str]:
    """List the libraries of such names that this process has mapped, deleted or not."""
    files = {
        line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()
    }
    return sorted(path for path in files if pattern.search(Path(path).name))


def home_of_mpi(prefix: str, injected: str) -> Path:
    """Give the folder below which the MPI must lie: the site's, if it injects one."""
    places = [Path(place) for place in injected.split(":") if place]
    return next((p for p in places if any(p.rglob("libmpi.so.*"))), Path(prefix)).resolve()


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", type=expected_versions, required=True)
    expected: dict[str, str] = parser.parse_args().expect

    with Emitter() as out:
        found = {name: installed_version(name) for name in expected}
        out.check("versions", bool(expected) and found == expected, compared(found, expected))

        names = frameworks(expected)
        each = [load(name) for name in names]
        imported = [name for framework in each for name in framework.MODULES]
        modules = [importlib.import_module(name) for name in (*imported, *COMMON)]
        # Loads the MPI library without starting MPI: there is no launcher here.
        importlib.import_module("mpi4py").rc.initialize = False
        mpi = importlib.import_module("mpi4py.MPI")

        strays = outside(modules, sys.prefix)
        out.check(
            "inside_prefix",
            not strays,
            f"{listed(strays, none='all')} {'not ' * bool(strays)}under {sys.prefix}",
        )

        out.check(
            "user_site_off", not site.ENABLE_USER_SITE, f"ENABLE_USER_SITE={site.ENABLE_USER_SITE}"
        )
        file = file_found_with_decoy("numpy")
        genuine = importlib.import_module("numpy").__file__
        out.check("user_decoy_ignored", file == genuine, f"with a fake numpy: {file}")

        with findings(out, names) as shown:
            for shown.framework, framework in zip(names, each, strict=True):
                shown.check("optimised_libraries", *framework.optimised())

        # Of several frameworks those that have one share it, or two would spin for the same cores.
        wanted = max(framework.OPENMP_RUNTIMES for framework in each)
        runtimes = mapped(OPENMP)
        out.check("one_openmp_runtime", len(runtimes) == wanted, f"mapped: {listed(runtimes)}")

        home = home_of_mpi(sys.prefix, os.environ.get("STACKWRIGHT_INJECTED", ""))
        libraries = mapped(MPI)
        own = [path for path in libraries if Path(path).resolve().is_relative_to(home)]
        out.check(
            "mpi_library",
            bool(libraries) and own == libraries,
            f"mapped: {listed(libraries)}; it should come from {home}",
        )

        out.info("python", sys.version)
        told = {module.__name__: getattr(module, "__version__", None) for module in modules}
        out.info("versions", told)
        out.info("MPI library", mpi.Get_library_version().rstrip("\0\n"))


if __name__ == "__main__":
    main()
