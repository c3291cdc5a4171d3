"""What this machine has of what building and validating for a system needs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stackwright.errors import StackwrightError
from stackwright.inputs.injections import Injection
from stackwright.inputs.systems import System
from stackwright.spack.dialect import dialect_of
from stackwright.store import Store
from stackwright.survey import differences, survey
from stackwright.tools import engines, lmod, spack
from stackwright.tools.process import Runner, ToolError, find
from stackwright.validation.host import Compared, compare, fingerprint

Status = Literal["ok", "warning", "differs", "missing"]

ENGINES = ("podman", "buildah", "docker")
_GIB = 2**30
_ROOM_NEEDED, _ROOM_WANTED = 5 * _GIB, 20 * _GIB
# Of setup/debian-packages.txt: without these nothing is built. The others serve one run time each.
_NEEDED = frozenset({"mmdebstrap", "skopeo", "umoci", "mksquashfs", "cc"})
# Without these of what a system file states, not even a build can be tried.
_NEEDED_OF_HOST = frozenset({"CPU", "glibc"})
_LONGEST_RUN_ROOT = 50
_VERSION_OPTION = {"mksquashfs": "-version", "squashfuse": "--help", "newuidmap": ""}


@dataclass(frozen=True)
class Check:
    """One row: what was looked for, what was found, and what to do about it."""

    name: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Program:
    """A line of setup/debian-packages.txt: a program, or a file, and the package that has it."""

    name: str
    package: str


def read_programs(path: Path) -> tuple[Program, ...]:
    """The programs that Stackwright drives."""
    lines = (line.split() for line in path.read_text().splitlines())
    return tuple(Program(*words) for words in lines if words and words[0][0] != "#")


def all_checks(
    system: System,
    injections: Sequence[Injection],
    store: Store,
    programs: tuple[Program, ...],
    runner: Runner,
) -> Iterator[Check]:
    """Every row, the quick ones first."""
    yield from check_host(fingerprint(), system)
    found = survey(system, injections, Runner(), os.environ)
    yield from check_survey(differences(found, system, injections), system)
    yield check_room(store.root)
    yield check_user_namespaces(runner)
    for program in programs:
        if "/" not in program.name and program.name not in ENGINES:
            yield check_program(program, runner)
    yield check_lmod(runner)
    yield from check_engines(lambda name: engines.probe(name, store, runner, again=True))
    if find("podman"):
        yield from check_run_root(runner)
    if system.spack:
        yield check_spack(runner)


def check_host(host: Mapping[str, Any], system: System) -> Iterator[Check]:
    """A row for each thing that the system file states of its machines."""
    for each in compare(host, system):
        if each.fits:
            yield Check(each.name, "ok", f"{each.found}, the system has {each.stated}")
            continue
        status: Status = "missing" if each.name in _NEEDED_OF_HOST else "differs"
        advice = f"`validate` refuses this machine: mend systems/{system.name}.yaml, or use another"
        yield Check(each.name, status, f"{each.found}, the system has {each.stated}", advice)


def check_survey(compared: Iterable[Compared], system: System) -> Iterator[Check]:
    """A row for each thing that the system file states and no measurement depends on."""
    advice = f"mend systems/{system.name}.yaml, or use another machine"
    for each in compared:
        status: Status = "ok" if each.fits else "differs"
        found = f"{each.found}, the system has {each.stated}"
        yield Check(each.name, status, found, "" if each.fits else advice)


def check_room(store: Path) -> Check:
    """Free disk space where the store is, or will be."""
    place = next(folder for folder in (store, *store.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / _GIB:.0f} GiB free in {place}"
    if not os.access(place, os.W_OK):
        return Check("store", "missing", f"{place} is not writable", "choose another with --store")
    if free >= _ROOM_WANTED:
        return Check("store", "ok", found)
    status: Status = "warning" if free >= _ROOM_NEEDED else "missing"
    return Check("store", status, found, "make room, or choose another with --store")


def check_user_namespaces(runner: Runner) -> Check:
    """Whether containers can be run without root."""
    try:
        runner.run(["unshare", "--user", "--map-root-user", "true"])
    except StackwrightError:
        advice = "only root can run containers here: sysctl user.max_user_namespaces"
        return Check("user namespaces", "warning", "refused", advice)
    return Check("user namespaces", "ok", "work")


def check_program(program: Program, runner: Runner) -> Check:
    """Whether a program is there, and its version."""
    path = find(program.name)
    if path is None:
        status: Status = "missing" if program.name in _NEEDED else "warning"
        return Check(program.name, status, "not found", f"apt-get install {program.package}")
    return Check(program.name, "ok", _version(program.name, runner) or path)


def check_lmod(runner: Runner) -> Check:
    """Whether a real ``module`` command works."""
    try:
        init = lmod.find_init()
        script = 'source "$1" && module --version'
        text = runner.run(["bash", "--noprofile", "--norc", "-c", script, "bash", str(init)])
    except StackwrightError as error:
        return Check(
            "Lmod", "missing", error.what.splitlines()[0], error.hint or "see commands.log"
        )
    version = re.search(r"Version\s+(\S+)", text)
    if version is None:
        return Check("Lmod", "missing", f"{init} gives no module command", "reinstall Lmod")
    return Check("Lmod", "ok", f"{version.group(1)}, {init}")


def check_engines(probe: Callable[[str], engines.BuildEngine]) -> Iterator[Check]:
    """Each container engine, and whether one of them works."""
    works = False
    for name in ENGINES:
        try:
            found = probe(name)
        except StackwrightError as error:
            absent = f"apt-get install {name}" if find(name) is None else error.hint or ""
            yield Check(
                name, "warning", error.what, "not needed: another works" if works else absent
            )
            continue
        works = True
        version = ".".join(map(str, _numbers(found.version))) or found.version
        yield Check(name, "ok", f"{version}, works {found.workaround or 'as it is'}")
    if not works:
        advice = "install one: apt-get install podman runc"
        yield Check("container engine", "missing", "none works", advice)


def check_run_root(runner: Runner) -> Iterator[Check]:
    """A row if podman can't clean up after its containers.

    Its clean-up gets the run root as an option, which podman 4 refuses beyond 50 characters; and
    `podman run` waits 20 s for it.
    """
    try:
        found = runner.run(["podman", "info", "--format", "{{.Store.RunRoot}}"]).split()[-1]
    except StackwrightError:
        return
    if len(found) > _LONGEST_RUN_ROOT:
        yield Check(
            "podman's run root",
            "warning",
            f"{found} is longer than {_LONGEST_RUN_ROOT} characters: each container ends 20 s late",
            "name a shorter runroot in storage.conf",
        )


def check_spack(runner: Runner) -> Check:
    """A row for the Spack that locks and builds would take; only its own variants need one."""
    try:
        found = spack.find_spack(runner)
        dialect_of(found.version)
    except StackwrightError as error:
        return Check("Spack", "warning", error.what, error.hint or "")
    if not spack.has_solver():
        return Check("Spack", "warning", "its solver, clingo, is not there", "pip install clingo")
    return Check("Spack", "ok", f"{found.version}, {found.root}")


def _version(name: str, runner: Runner) -> str:
    option = _VERSION_OPTION.get(name, "--version")
    if not option:
        return ""
    try:
        text = runner.run([name, option])
    except ToolError as error:  # some end with 1 after --help
        text = error.tail
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found.group() if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()
