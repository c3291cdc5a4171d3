"""System files: where stacks run. One YAML file per machine, validated as it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stackwright.errors import StackwrightError
from stackwright.inputs.cuda import ComputeCapability
from stackwright.inputs.environment import Setting
from stackwright.inputs.fields import (
    AbsolutePath,
    DebianPackage,
    ImageByDigest,
    Line,
    Model,
    Name,
    Option,
    Text,
    Url,
    Word,
)
from stackwright.inputs.hosts import Hosts
from stackwright.inputs.injections import OF_THE_STACK, Glibc, plain
from stackwright.inputs.spacksite import SpackSite
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors

Runtime = Literal[
    "podman", "docker", "podman-hpc", "shifter", "charliecloud", "apptainer", "bubblewrap"
]
Limit = Literal["memlock", "nofile", "nproc", "stack"]
"""A resource of setrlimit(2); its least value is in the unit of bash's ulimit."""
GPU = "gpu"
"""What a case needs that computes on one."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class OperatingSystem(Model):
    """The host's operating system: what the module's prefix must run on."""

    id: Name
    version: Word
    glibc: Glibc


class Cpu(Model):
    """The processors of one node; ``target`` is a name that archspec knows."""

    target: str
    cores: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]

    @field_validator("target")
    @classmethod
    def _known_target(cls, value: str) -> str:
        if value not in _targets():
            raise ValueError(
                f"archspec knows no CPU target '{value}'{did_you_mean(value, _targets())}"
            )
        return value

    @property
    def architecture(self) -> str:
        """The architecture as wheels are named after it: ``x86_64``, ``aarch64``, ``ppc64le``."""
        return architecture(self.target)


class Gpu(Model):
    """The GPUs of one kind in one node; ``driver`` is the oldest that any node has."""

    vendor: Literal["nvidia", "amd", "intel"]
    model: Line
    count: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]
    driver: Word | None = None
    compute_capability: ComputeCapability | None = None


class Mpi(Model):
    """The MPI of the site; what was built for another one of the same ABI runs with it."""

    name: Literal["mpich", "cray-mpich", "mvapich2", "intel-mpi", "openmpi", "spectrum-mpi"]
    version: Word | None = None
    abi: Literal["mpich", "openmpi"] | None = None


class Fabric(Model):
    """The network between nodes, its libfabric provider, and the names of its interfaces."""

    name: Word
    provider: Word
    interfaces: tuple[Word, ...] = ()


class Mount(Model):
    """A file system of the site, and its type as /proc/mounts names it."""

    path: AbsolutePath
    type: Word | None = None

    @field_validator("path")
    @classmethod
    def _hides_no_stack(cls, path: str) -> str:
        if any(plain(path).is_relative_to(place) for place in OF_THE_STACK):
            raise ValueError(f"{path} is the stack's own: what ran would not be what was certified")
        return path


class Batch(Model):
    """What a job script has to say: options as they are, and those that each user fills in."""

    partition: Word | None = None
    options: tuple[Option, ...] = ()
    asks: tuple[Option, ...] = ()


class Capability(Model):
    """Something that not every system can do, and that a case may need."""

    name: Name
    why: Line
    source: Url


class Modules(Model):
    """What reads modulefiles, and where they live; without a root they live in the store."""

    system: Literal["lmod", "tcl"] = "lmod"
    root: AbsolutePath | None = None


class Roofline(Model):
    """A figure that the hardware is expected to reach, and where the figure comes from."""

    value: Annotated[float, Field(gt=0)]
    unit: Line
    source: Line


class Base(Model):
    """What images start from: a Debian suite with some packages, or an image by its digest."""

    suite: Name | None = None
    packages: tuple[DebianPackage, ...] = ()
    image: ImageByDigest | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Base:
        if (self.suite is None) == (self.image is None):
            raise ValueError("either 'suite' with 'packages', or 'image'")
        if (self.image is None) != bool(self.packages):
            raise ValueError("'packages' go with 'suite', and only with it")
        return self

    @property
    def kind(self) -> Literal["debian", "image"]:
        """Which steps make it."""
        return "debian" if self.image is None else "image"

    @property
    def source(self) -> str:
        """The suite, or the image."""
        return str(self.image or self.suite)


class System(Model):
    """A machine and its site."""

    name: Name
    summary: Line
    hosts: Hosts | None = None
    os: OperatingSystem
    cpu: Cpu
    gpus: tuple[Gpu, ...] = ()
    mpi: Mpi | None = None
    fabric: Fabric | None = None
    capabilities: tuple[Capability, ...] = ()
    limits: Mapping[Limit, Annotated[int, Field(ge=1)] | Literal["unlimited"]] = {}
    scheduler: Literal["slurm", "pbs", "lsf", "flux", "none"] = "none"
    batch: Batch | None = None
    runtimes: Annotated[tuple[Runtime, ...], Field(min_length=1)]
    module: Modules = Modules()
    mounts: tuple[Mount, ...] = ()
    environment: tuple[Setting, ...] = ()
    store: Annotated[
        str,
        Text(
            r"(?:/|~/|\$\{?[A-Za-z_])[A-Za-z0-9._/+@%=~${}-]*",
            "an absolute path; it may begin with ~/ and hold ${VARIABLES}",
        ),
    ]
    injections: tuple[Name, ...] = ()
    rooflines: Mapping[Name, Roofline] = {}
    minimum_suite: Name | None = None
    minimum_suite_of_tools: Name | None = None
    spack: SpackSite | None = None
    base: Base

    @property
    def can(self) -> frozenset[str]:
        """The names of its capabilities; a system that states GPUs has that of this name, too."""
        stated = frozenset(capability.name for capability in self.capabilities)
        return stated | {GPU} if self.gpus else stated


def load_system(path: Path) -> Document[System]:
    """Read a system file and check what its parts say about each other.

    Raises:
        ManyErrors: every mistake in the file, each with its place.
    """
    document = load_document(path, System)
    if errors := [*_problems(document, path)]:
        raise many_errors(errors)
    return document


def _problems(document: Document[System], path: Path) -> Iterator[StackwrightError]:
    system = document.value
    if system.name != path.stem:
        what = f"the system is called '{system.name}' but its file '{path.name}'"
        yield document.error(what, "name", hint=f"rename one of them: name: {path.stem}")
    if system.batch and system.scheduler == "none":
        what = "'batch' is for a scheduler's job scripts, and 'scheduler' is none"
        yield document.error(what, "batch", hint="name the scheduler")
    lists: Mapping[str, Sequence[str]] = {
        "environment": [setting.name for setting in system.environment],
        "capabilities": [capability.name for capability in system.capabilities],
        "mounts": [mount.path for mount in system.mounts],
        "injections": system.injections,
        "runtimes": system.runtimes,
    }
    for field, names in lists.items():
        for index, name in enumerate(names):
            if (first := names.index(name)) != index:
                before = document.where(field, first)
                yield document.error(f"'{name}' is there twice (first at {before})", field, index)


class NoStoreHere(StackwrightError):  # noqa: N818  (what it is, not that it is an error)
    """A store whose path this machine can't tell, as it is that of another."""


def store_path(
    system: System, override: Path | None, environ: Mapping[str, str], cwd: Path
) -> Path:
    """Where a system's store is on this machine, as an absolute path.

    The override (``--store``) wins over STACKWRIGHT_STORE, and that over the system file. What is
    typed may be relative to the current directory; what a file says means the same everywhere.

    Raises:
        NoStoreHere: the path names a variable that isn't set, or isn't an absolute path.
    """
    typed = str(override) if override else environ.get("STACKWRIGHT_STORE")
    text = typed or system.store

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name not in environ:
            raise NoStoreHere(
                f"the store of '{system.name}' is {text}, but ${name} is not set",
                hint=f"set {name}, or say --store DIR",
            )
        return environ[name]

    expanded = Path(text if override else _VARIABLE.sub(value, text)).expanduser()
    if not typed and not expanded.is_absolute():
        raise NoStoreHere(
            f"the store of '{system.name}' is {text}, here {expanded}: not an absolute path",
            hint="set the variable to an absolute path, or say --store DIR",
        )
    return cwd / expanded


def architecture(target: str) -> str:
    """The architecture of a CPU target, by their names in archspec."""
    import archspec.cpu

    return str(archspec.cpu.TARGETS[target].family.name)


@lru_cache(maxsize=1)
def _targets() -> frozenset[str]:
    import archspec.cpu  # reads a large JSON file: only when a system is loaded

    return frozenset(archspec.cpu.TARGETS)
