"""What a site injects, on this host: which files these are, and whether an image can load them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from stackwright.canonical import hash_file, hash_folder
from stackwright.elf import Elf, read_elf
from stackwright.errors import StackwrightError
from stackwright.inputs.injections import Carried, Injection
from stackwright.runtimes.loadable import MPI, Brought, Inside, problems
from stackwright.store import Store

Carrier = Literal["shifter", "podman-hpc"]
CARRIERS: tuple[Carrier, ...] = ("shifter", "podman-hpc")
"""Run times whose own modules bring what a site injects; users can't bind files into these."""

CARRIED_TO = "/opt/udiImage/modules"
"""Where those modules put libraries (podman-hpc's and Shifter's own, by their configuration)."""

_LOADER_FOLDERS = ("lib", "usr/lib", "lib64", "usr/lib64", "lib/*-linux-gnu", "usr/lib/*-linux-gnu")
_DRIVER = Path("/proc/driver/nvidia/version")


def given(runtime: str, injections: Sequence[Injection]) -> tuple[Injection, ...]:
    """The injections as a run time is given them with each command: files and variables.

    Where the run time's own modules bring the files, the variables that name them come with these.

    Raises:
        StackwrightError: one says nothing of how this run time's own modules bring it.
    """
    if runtime not in CARRIERS:
        return tuple(injections)
    for one in injections:
        if runtime not in one.modules:
            raise StackwrightError(
                f"injection {one.name} doesn't say which module of {runtime} brings it",
                hint=f"in systems/injections/{one.name}.yaml: modules: {{{runtime}: NAME}}",
            )
    carried: dict[str, object] = {"bind": (), "copied": (), "prepend": {}}
    return tuple(one.model_copy(update=carried) for one in injections)


def places(runtime: str, injections: Sequence[Injection]) -> tuple[str, ...]:
    """Where in the container the injections bring their files."""
    if runtime in CARRIERS:
        return (CARRIED_TO,)
    carried = [each for one in injections for each in (*one.bind, *one.copied)]
    return tuple(str(each.inside) for each in carried)


def carried_by(runtime: Carrier, injections: Sequence[Injection]) -> tuple[str, ...]:
    """The run time's own modules that bring the injections; each one once."""
    return tuple(dict.fromkeys(m for one in injections if (m := one.modules.get(runtime))))


def check_loadable(
    injections: Sequence[Injection], root: Path, image_env: Mapping[str, str]
) -> None:
    """Check that what is injected is there, loads in the image, and is what the image uses.

    Args:
        root: the unpacked image.
        image_env: the environment that its configuration sets.

    Raises:
        StackwrightError: it isn't so; every problem on a line of its own.
    """
    brought = [_brought(one) for one in injections]
    if wrong := [*problems(brought, inside_of(root, image_env), _driver())]:
        raise StackwrightError(
            "\n".join(["what the site injects doesn't fit this image", *wrong]),
            hint="mend systems/injections, or the stack; `stackwright doctor` shows this host",
        )


def staged(injection: Injection, store: Store) -> Injection:
    """An injection whose copies were made: a change of the host's reaches no run that began."""
    copies = tuple(_copied(each, store) for each in injection.copied)
    return injection.model_copy(update={"copied": copies})


def _copied(carried: Carried, store: Store) -> Carried:
    source = Path(carried.source)
    digest = hash_folder(source) if source.is_dir() else hash_file(source)

    def copy(out: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, out / "copy", symlinks=True)
        else:
            shutil.copy2(source, out / "copy")

    copied = store.step("injected", digest, copy) / "copy"
    return Carried(source=str(copied), target=str(carried.inside))


def inside_of(root: Path, image_env: Mapping[str, str]) -> Inside:
    """What an unpacked image offers to libraries that are injected into it."""
    named = [path.lstrip("/") for path in image_env.get("LD_LIBRARY_PATH", "").split(":") if path]
    usual = [folder for pattern in _LOADER_FOLDERS for folder in sorted(root.glob(pattern))]
    folders = [*(root / folder for folder in (*named, *_configured(root))), *usual]
    there = [folder for folder in folders if folder.is_dir()]
    libc = next((p for folder in there if (p := folder / "libc.so.6").is_file()), None)
    glibc = _elf(libc) if libc else None
    files = (path for path in root.rglob("*.so*") if path.is_file() and not path.is_symlink())
    extensions = (_elf(path) for path in files)
    needed = {name for elf in extensions if elf for name in elf.needed}
    return Inside(
        machine=glibc.machine if glibc else None,
        libraries=frozenset(path.name for folder in there for path in folder.iterdir()),
        glibc=glibc.is_glibc if glibc else None,
        mpi=frozenset(name for name in needed if MPI.fullmatch(name)),
    )


def _configured(root: Path) -> Iterator[str]:
    """The folders that the image's ld.so.conf.d names (ldconfig(8))."""
    for path in sorted((root / "etc/ld.so.conf.d").glob("*.conf")):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("/"):
                yield line.strip().lstrip("/")


def _brought(injection: Injection) -> Brought:
    files: dict[str, Elf] = {}
    targets: dict[str, str] = {}
    for carried in (*injection.bind, *injection.copied):
        source = Path(carried.source)
        if not source.exists():
            raise StackwrightError(
                f"injection {injection.name}: there is no {source} on this host",
                hint="`stackwright doctor` shows what differs from the system file",
            )
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and (elf := _elf(path)):
                inside = str(carried.inside / path.relative_to(source)).removesuffix("/.")
                files[inside] = elf
                targets[inside] = path.resolve().name
    return Brought(injection, files, targets)


def _elf(path: Path) -> Elf | None:
    with path.open("rb") as file:
        return read_elf(file)


def _driver() -> str | None:
    """The version of NVIDIA's kernel module: its line says `Kernel Module  580.105.08  ...`."""
    if not _DRIVER.is_file():
        return None
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d+(?:\.\d+)+)", _DRIVER.read_text())
    return found[1] if found else None
