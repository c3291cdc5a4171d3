"""Faults of the stack's own files, each a function that changes a copy of its prefix."""

from __future__ import annotations

import json
import os
import re
import shutil
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


def framework_among_tools(prefix: Path) -> None:
    """In a wheel of another name, only its libraries tell."""
    library = _packages(prefix) / "fast_arrays/lib/libtorch_cpu.so"
    library.parent.mkdir(parents=True)
    library.touch()


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


def fftw_of_the_distribution(prefix: Path) -> None:
    """The real one of this system, which has to run on processors without AVX2."""
    known = subprocess.run(["ldconfig", "-p"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in ("libfftw3.so.3", "libfftw3_omp.so.3"):
        (theirs,) = re.findall(rf"^\s{re.escape(name)} .* => (\S+)$", known, re.MULTILINE)
        (prefix / "lib" / name).unlink()
        shutil.copy(theirs, prefix / "lib" / name)


def fftw_without_openmp(prefix: Path) -> None:
    """As when it was made without --enable-openmp."""
    (prefix / "lib/libfftw3_omp.so.3").unlink()


def _in_place_of(prefix: Path, name: str, script: str) -> None:
    """Give the stack a shell script for a program, which may start the true one as $TRUE."""
    program = prefix / "bin" / name
    true = program.rename(program.with_name(f"{name}-true"))
    program.write_text(f"#!/bin/sh\nTRUE={true}\n{script}\n")
    program.chmod(0o755)


def bzip2_truncates(prefix: Path) -> None:
    """It loses what comes after its first block of 900,000 bytes."""
    _in_place_of(prefix, "bzip2", 'head -c 900000 | "$TRUE" "$@"')


def bzip2_unpacks_first_stream_only(prefix: Path) -> None:
    """It never reads the end of what it unpacks."""
    _in_place_of(
        prefix,
        "bzip2",
        'case "$*" in *--decompress*) "$TRUE" "$@" | head -c 900000;; *) exec "$TRUE" "$@";; esac',
    )


def ninja_builds_all_again(prefix: Path) -> None:
    """It doesn't find its log of what was built by which command."""
    _in_place_of(prefix, "ninja", 'rm -f .ninja_log; exec "$TRUE" "$@"')


def ninja_builds_nothing_again(prefix: Path) -> None:
    """It asks whether files are there, and not when they were changed."""
    _in_place_of(
        prefix, "ninja", 'test ! -e d || exec echo "ninja: no work to do."; exec "$TRUE" "$@"'
    )


def numactl_shows_other_cpus(prefix: Path) -> None:
    """All that the kernel may ever have, whatever the process may use."""
    _in_place_of(
        prefix,
        "numactl",
        '"$TRUE" "$@" | sed "s/^physcpubind:.*/physcpubind: $(seq -s " " 0 999)/"',
    )


def numactl_binds_nothing(prefix: Path) -> None:
    """Programs run where they may run without it."""
    _in_place_of(
        prefix, "numactl", 'case $1 in --physcpubind=*) shift; exec "$@";; esac; exec "$TRUE" "$@"'
    )


def terminfo_of_the_builder(prefix: Path) -> None:
    """Programs look for it where the stack was built, and then where each system has it."""
    for name in ("infocmp", "tput"):
        _in_place_of(
            prefix, name, f'TERMINFO=/build/stage/share/terminfo exec {prefix}/libexec/{name} "$@"'
        )


def terminfo_left_out(prefix: Path) -> None:
    """The folder is there, and programs find the system's, if it has any."""
    shutil.rmtree(prefix / "share/terminfo/v")


def terminal_of_another_size(prefix: Path) -> None:
    """A description of the same name, and of 132 columns."""
    folder = prefix / "share/terminfo"
    shutil.rmtree(folder)
    script = 'infocmp vt100 | sed "s/cols#80/cols#132/" | tic -o "$0" -'
    subprocess.run(["sh", "-c", script, folder], check=True)
