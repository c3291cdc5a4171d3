"""Faults of the stack's own files, each a function that changes a copy of its prefix."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from payload import MANIFEST
from payload_runs import AS_ROOT, OPENMPI_PYTHON
from walk import replace_text


def _packages(prefix: Path) -> Path:
    return next(prefix.glob("lib/python3*/site-packages"))


def missing_shared_library(prefix: Path) -> None:
    """HDF5's own library, which h5py links."""
    for library in _packages(prefix).glob("h5py.libs/libhdf5-*"):
        library.unlink()


def older_shared_library(prefix: Path) -> None:
    """A run time of the right name, whose symbols have other versions than its users ask for."""
    library = next(_packages(prefix).glob("numpy.libs/libgfortran-*"))
    library.unlink()
    script = library.with_suffix(".map")
    script.write_text("GFORTRAN_1 { *; };")
    flags = ("-shared", "-x", "c", f"-Wl,--version-script={script}", f"-Wl,-soname={library.name}")
    subprocess.run(["cc", *flags, "-o", library, "/dev/null"], check=True)


def mpi_of_another_family(prefix: Path) -> None:
    """Only the name tells it from the stack's own."""
    os.link(prefix / "lib/libmpi.so.12", prefix / "lib/libmpi.so.40")


def file_changed_after_the_build(prefix: Path) -> None:
    """One line more in a module that no case imports."""
    file = _packages(prefix) / "threadpoolctl.py"
    text = file.read_text()
    file.unlink()
    file.write_text(f"{text}\n")


def stack_of_another_plan(prefix: Path) -> None:
    """The right packages, built from other inputs."""
    manifest = json.loads((prefix / MANIFEST).read_text())
    replace_text(prefix / MANIFEST, manifest["plan_hash"], "sha256:" + "b" * 64)


def host_python(prefix: Path) -> None:
    """A Python with the same packages that no build has made."""
    (prefix / MANIFEST).unlink()


def launcher_of_another_mpi(prefix: Path) -> None:
    """It tells each process its rank in its own words, so that MPI starts worlds of one rank."""
    launcher = prefix / "bin/mpiexec"
    launcher.unlink()
    launcher.write_text(
        "#!/bin/sh\n"
        "shift; export WORLD_SIZE=$1; shift\n"
        'for RANK in $(seq 0 $((WORLD_SIZE - 1))); do RANK=$RANK "$@" & done\n'
        "wait\n"
    )
    launcher.chmod(0o755)


def mpirun_of_open_mpi(prefix: Path) -> None:
    """The real one, as it comes first on PATH where a site's module was loaded before."""
    assert OPENMPI_PYTHON is not None, "set STACKWRIGHT_TEST_OPENMPI (make mutants does)"
    launcher = prefix / "bin/mpiexec"
    launcher.unlink()
    settings = " ".join(f"{name}={value}" for name, value in AS_ROOT.items())
    theirs = Path(OPENMPI_PYTHON).parent / "mpiexec"
    launcher.write_text(f'#!/bin/sh\nexec env {settings} {theirs} "$@"\n')
    launcher.chmod(0o755)
