"""What a system file states beyond its processors, beside what this machine has of it.

`validation.host` compares what a measurement depends on, and refuses other machines; this is about
the rest, which only `doctor` tells: MPI, fabric, limits, file systems, scheduler, run times.
"""

from __future__ import annotations

import platform
import re
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from stackwright.errors import StackwrightError
from stackwright.inputs.injections import Injection
from stackwright.inputs.systems import Fabric, Mount, Mpi, System
from stackwright.tools import lmod
from stackwright.tools.process import Runner, find
from stackwright.validation.host import Compared

RUNTIMES: Mapping[str, str] = {
    "podman": "podman",
    "docker": "docker",
    "podman-hpc": "podman-hpc",
    "shifter": "shifter",
    "charliecloud": "ch-run",
    "apptainer": "apptainer",
    "bubblewrap": "bwrap",
}
"""The program of each run time."""

SCHEDULERS: Mapping[str, tuple[str, ...]] = {
    "slurm": ("sbatch",),
    "pbs": ("qsub",),
    "lsf": ("bsub",),
    "flux": ("flux",),
}
"""The programs that submit to a scheduler."""

PARTITION: Mapping[str, tuple[str, ...]] = {
    "slurm": ("sinfo", "--noheader", "--format=%R", "--partition"),
    "pbs": ("qstat", "-Q"),
    "lsf": ("bqueues",),
}
"""The commands, without the name of a partition or queue, that show it."""

DEVICES: Mapping[str, str] = {
    "cxi": "/sys/class/cxi/*",
    "gni": "/dev/kgni*",
    "psm2": "/sys/class/infiniband/hfi1_*",
    "opx": "/sys/class/infiniband/hfi1_*",
    "verbs": "/sys/class/infiniband/*",
    "efa": "/sys/class/infiniband/*",
}
"""Where the kernel shows the devices that a libfabric provider drives; others need none."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "memlock": (resource.RLIMIT_MEMLOCK, 1024),
    "nofile": (resource.RLIMIT_NOFILE, 1),
    "nproc": (resource.RLIMIT_NPROC, 1),
    "stack": (resource.RLIMIT_STACK, 1024),
}
"""The resources of setrlimit(2), and how many of its units one of bash's ulimit is."""

_MPIS: tuple[tuple[str, str], ...] = (
    ("spectrum-mpi", r"IBM Spectrum MPI\) (\S+)"),
    ("openmpi", r"Open MPI\) (\S+)"),
    ("intel-mpi", r"Intel\(R\) MPI Library.*?Version (\S+)"),
    ("mvapich2", r"MVAPICH2? Version:\s+(\S+)"),
    ("mpich", r"(?:MPICH Version|HYDRA build details:\s+Version):\s+(\S+)"),
)
"""How the programs of an MPI tell its version."""


@dataclass(frozen=True)
class Survey:
    """The facts of a machine that `doctor` compares with a system file.

    Args:
        mpi: name and version of the MPI whose launcher is on PATH.
        devices: of the fabric, by their paths.
        interfaces: names of network interfaces.
        limits: soft limits in the units of bash's ulimit; None for unlimited.
        mounts: types of file systems by where they are mounted.
        paths: those of the paths that were looked for that are there.
        modules: which systems of modules there are.
        runtimes: which container run times are on PATH.
        schedulers: which schedulers can be submitted to.
        partition: whether the scheduler knows the system's partition; None if nobody could say.
    """

    host: str = ""
    belongs: bool = True
    mpi: tuple[str, str] | None = None
    devices: tuple[str, ...] = ()
    interfaces: frozenset[str] = frozenset()
    limits: Mapping[str, int | None] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    runtimes: frozenset[str] = frozenset()
    schedulers: frozenset[str] = frozenset()
    partition: bool | None = None


def survey(
    system: System,
    injections: Sequence[Injection],
    runner: Runner,
    environ: Mapping[str, str],
) -> Survey:
    """Look at this machine, at what the system file states and no more."""
    provider = system.fabric.provider if system.fabric else ""
    carried = [each for one in injections for each in (*one.bind, *one.copied)]
    wanted = [*(mount.path for mount in system.mounts), *(each.source for each in carried)]
    return Survey(
        host=platform.node(),
        belongs=system.hosts is None or system.hosts.match(platform.node(), environ),
        mpi=_mpi(runner, environ) if system.mpi else None,
        devices=_devices(provider),
        interfaces=frozenset(path.name for path in Path("/sys/class/net").glob("*")),
        limits={name: _limit(name) for name in system.limits},
        mounts=read_mounts(_text("/proc/self/mounts")),
        paths=frozenset(filter(_is, wanted)),
        modules=frozenset(_modules(environ)),
        runtimes=frozenset(name for name, program in RUNTIMES.items() if find(program)),
        schedulers=frozenset(n for n, programs in SCHEDULERS.items() if any(map(find, programs))),
        partition=_has_partition(system, runner),
    )


def differences(
    found: Survey, system: System, injections: Sequence[Injection]
) -> Iterator[Compared]:
    """What a system file states beyond what a measurement depends on, beside what was found."""
    if system.hosts:
        said = [*system.hosts.names, *(f"{k}={v}" for k, v in system.hosts.environment.items())]
        yield Compared("hosts", found.host, ", ".join(said), found.belongs)
    if system.mpi:
        yield _compare_mpi(found, system.mpi)
    if system.fabric:
        yield from _compare_fabric(found, system.fabric)
    for name, least in system.limits.items():
        has = found.limits.get(name)
        enough = has is None or (least != "unlimited" and has >= least)
        yield Compared(
            f"limit {name}", "unlimited" if has is None else str(has), str(least), enough
        )
    for mount in system.mounts:
        yield _compare_mount(found, mount)
    modules = system.module.system
    yield Compared("modules", _listed(found.modules), modules, modules in found.modules)
    here = [name for name in system.runtimes if name in found.runtimes]
    yield Compared("run times", _listed(here), f"one of {_listed(system.runtimes)}", bool(here))
    if system.scheduler != "none":
        there = system.scheduler in found.schedulers
        yield Compared("scheduler", _listed(found.schedulers), system.scheduler, there)
    if system.batch and system.batch.partition:
        yield _compare_partition(found, system.batch.partition)
    for injection in injections:
        yield from _compare_injection(found, injection)


def mpi_of(text: str) -> tuple[str, str] | None:
    """The name and the version of the MPI that a program told its version for."""
    for name, pattern in _MPIS:
        if match := re.search(pattern, text, re.DOTALL):
            return name, match.group(1).rstrip(",")
    return None


def read_mounts(text: str) -> dict[str, str]:
    """The types of file systems by where they are mounted, from proc_mounts(5)."""
    fields = (line.split() for line in text.splitlines())
    return {each[1]: each[2] for each in fields if len(each) > 2}  # noqa: PLR2004


def _compare_mpi(found: Survey, stated: Mpi) -> Compared:
    name, version = found.mpi or ("none", "")
    newer = stated.version is None or _numbers(version) >= _numbers(stated.version)
    wanted = f"{stated.name} {stated.version or ''}".rstrip()
    fits = name == stated.name and newer
    return Compared("MPI", f"{name} {version}".rstrip(), wanted, fits)


def _compare_fabric(found: Survey, stated: Fabric) -> Iterator[Compared]:
    devices = _listed(PurePosixPath(path).name for path in found.devices)
    there = bool(found.devices) or stated.provider not in DEVICES
    yield Compared("fabric", devices, f"{stated.name} ({stated.provider})", there)
    for name in stated.interfaces:
        has = name in found.interfaces
        yield Compared("interface", name if has else _listed(found.interfaces), name, has)


def _compare_mount(found: Survey, stated: Mount) -> Compared:
    """A file system may be mounted above the path that is stated, or below it."""
    path = PurePosixPath(stated.path)
    above = next((str(at) for at in (path, *path.parents) if str(at) in found.mounts), "")
    kind = found.mounts.get(above, "nothing")
    there = stated.path in found.paths
    wanted = f"{stated.path} {stated.type or ''}".rstrip()
    fits = there and stated.type in (None, kind)
    return Compared("mount", f"{stated.path} {kind}" if there else "not there", wanted, fits)


def _compare_partition(found: Survey, name: str) -> Compared:
    said = {True: name, False: "unknown to the scheduler", None: "nobody could be asked"}
    return Compared("partition", said[found.partition], name, found.partition is True)


def _compare_injection(found: Survey, injection: Injection) -> Iterator[Compared]:
    sources = [each.source for each in (*injection.bind, *injection.copied)]
    if sources:
        lost = [path for path in sources if path not in found.paths]
        what = f"no {_listed(lost)}" if lost else "all files"
        yield Compared(f"injection {injection.name}", what, _listed(sources), not lost)


def _mpi(runner: Runner, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The MPI of this shell; Cray's has no launcher of its own, but a module that says so."""
    if version := environ.get("CRAY_MPICH_VERSION"):
        return "cray-mpich", version
    for argv in (["mpichversion"], ["mpirun", "--version"], ["mpiexec", "--version"]):
        if find(argv[0]) and (known := mpi_of(_output(runner, argv))):
            return known
    return None


def _devices(provider: str) -> tuple[str, ...]:
    pattern = DEVICES.get(provider)
    return tuple(sorted(map(str, Path("/").glob(pattern.lstrip("/"))))) if pattern else ()


def _has_partition(system: System, runner: Runner) -> bool | None:
    """Slurm says nothing about a partition that it doesn't know; the others end with an error."""
    ask = PARTITION.get(system.scheduler)
    if not (system.batch and system.batch.partition and ask and find(ask[0])):
        return None
    return bool(_output(runner, [*ask, system.batch.partition]).strip())


def _output(runner: Runner, argv: Sequence[str]) -> str:
    """What a program prints; nothing where it fails or hangs."""
    try:
        return runner.run(["timeout", "30", *argv])
    except StackwrightError:
        return ""


def _modules(environ: Mapping[str, str]) -> Iterator[str]:
    if _works(lmod.find_init):
        yield "lmod"
    if "MODULES_CMD" in environ or ("MODULESHOME" in environ and "LMOD_CMD" not in environ):
        yield "tcl"  # https://modules.readthedocs.io/en/latest/module.html#environment


def _works(look: Callable[[], object]) -> bool:
    try:
        look()
    except StackwrightError:
        return False
    return True


def _limit(name: str) -> int | None:
    kind, unit = LIMITS[name]
    soft, _ = resource.getrlimit(kind)
    return None if soft == resource.RLIM_INFINITY else soft // unit


def _is(path: str) -> bool:
    return Path(path).exists()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names) if isinstance(names, frozenset) else names) or "none"
