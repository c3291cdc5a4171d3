"""What an ELF file asks of the dynamic loader, on files that the C compiler makes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stackwright.elf import read_elf

pytestmark = pytest.mark.real


def compiled(folder: Path, name: str, code: str, *options: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(code)
    made = folder / name
    subprocess.run(["cc", "-o", made, source, *options], check=True)
    return made


def test_a_library_tells_its_name_and_what_it_needs(tmp_path: Path) -> None:
    inner = compiled(tmp_path, "libinner.so", "int one(void){return 1;}", "-shared", "-fPIC")
    outer = compiled(
        tmp_path,
        "libouter.so.3",
        "int one(void); int two(void){return 2 * one();}",
        *("-shared", "-fPIC", "-Wl,-soname,libouter.so.3", "-Wl,--enable-new-dtags"),
        *(f"-Wl,-rpath,{tmp_path}:/opt/there", str(inner)),
    )
    with outer.open("rb") as file:
        read = read_elf(file)
    assert read is not None
    assert read.soname == "libouter.so.3"
    assert any(name.endswith("libinner.so") for name in read.needed)
    assert (read.rpath, read.runpath) == ((), (str(tmp_path), "/opt/there"))


def test_the_old_kind_of_rpath_is_told_apart(tmp_path: Path) -> None:
    library = compiled(
        tmp_path,
        "libold.so",
        "int one(void){return 1;}",
        *("-shared", "-fPIC", "-Wl,--disable-new-dtags", "-Wl,-rpath,/opt/mpi"),
    )
    with library.open("rb") as file:
        read = read_elf(file)
    assert read is not None
    assert (read.rpath, read.runpath) == (("/opt/mpi",), ())


def test_the_newest_glibc_that_is_needed(tmp_path: Path) -> None:
    code = '#include <stdlib.h>\nint main(void){return atoi("0");}'
    with compiled(tmp_path, "program", code).open("rb") as file:
        read = read_elf(file)
    assert read is not None
    assert read.soname is None
    assert read.glibc is not None
    assert read.glibc >= (2, 2, 5)
    assert read.is_glibc is None


def test_the_glibc_that_is_there() -> None:
    asked = subprocess.run(["cc", "-print-file-name=libc.so.6"], capture_output=True, check=True)
    told = os.confstr("CS_GNU_LIBC_VERSION")  # "glibc 2.36"
    with Path(asked.stdout.decode().strip()).open("rb") as file:
        read = read_elf(file)
    assert read is not None
    assert told == f"glibc {'.'.join(map(str, read.is_glibc or ()))}"


def test_other_files_are_not_elf(tmp_path: Path) -> None:
    static = compiled(tmp_path, "static", "int main(void){return 0;}", "-static")
    whole = Path(sys.executable).resolve().read_bytes()
    for data in (b"", b"\x7fEL", b"#!/bin/sh\n", static.read_bytes(), whole[:200], whole[:5000]):
        assert read_elf(io.BytesIO(data)) is None
