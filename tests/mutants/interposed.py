"""Faults of FFTW's library, each a C file in libraries/: loaded in place of the true one."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

LIBRARIES = Path(__file__).parent / "libraries"
NAME, TRUE = "libfftw3.so.3", "libfftw3-true.so.3"


def instead_of_fftw(fault: str, prefix: Path) -> None:
    """Give the stack a library of FFTW's name that needs the true one, by another name."""
    library = prefix / "lib" / NAME
    library.rename(library.with_name(TRUE))
    flags = ("cc", "-shared", "-fPIC", "-O1")
    with tempfile.TemporaryDirectory() as folder:
        # The loader looks for the name that is noted here, and not for that in the true library.
        stub = Path(folder, TRUE)
        subprocess.run([*flags, f"-Wl,-soname={TRUE}", "-o", stub, "-xc", "/dev/null"], check=True)
        names = (f"-Wl,-soname={NAME}", "-Wl,-rpath,$ORIGIN", "-Wl,--no-as-needed")
        sources = (LIBRARIES / f"{fault}.c", stub, "-lm")
        subprocess.run([*flags, *names, "-o", library, *sources], check=True)
