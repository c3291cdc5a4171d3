"""Command lines of the container engines, for an image in their own storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from stackwright.runtimes.request import CommandLine, Engine, Mount, Request

EngineName = Literal["podman", "docker", "podman-hpc"]

_SHARED = ("--network=host", "--shm-size=1g")
SHARED: Mapping[EngineName, tuple[str, ...]] = {
    "podman": _SHARED,
    "podman-hpc": _SHARED,
    "docker": (*_SHARED, "--cap-add=SYS_PTRACE"),
}
"""How containers are run unless the engine's own arguments say otherwise.

The host's network, as Shifter gives it. MPICH and data loaders talk through /dev/shm, which is
64 MiB by default; it stays private to the container, so a killed run leaves no segment behind.
Ranks read each other's large messages by process_vm_readv(2), which docker's seccomp profile may
keep for those who may trace.
"""

GPUS: Mapping[EngineName, str] = {
    "podman": "--device=nvidia.com/gpu=all",
    "docker": "--gpus=all",
    "podman-hpc": "--gpu",
}
"""Podman by the Container Device Interface (https://github.com/cncf-tags/container-device-interface),
docker by NVIDIA's container toolkit, podman-hpc by its site's module."""

REMOVE: Mapping[EngineName, tuple[str, ...]] = {
    "podman": ("rm", "--force", "--ignore", "--time=0"),
    "podman-hpc": ("rm", "--force", "--ignore", "--time=0"),
    "docker": ("rm", "--force"),
}
"""Ends a container at once in any state; `kill` leaves one that was created but not started."""


@dataclass(frozen=True)
class Container:
    """An image in an engine's local storage, named by its ID or digest."""

    runtime: EngineName
    engine: Engine
    image: str

    mounts_below: ClassVar[str] = "/"

    def command_line(self, request: Request) -> CommandLine:
        """Run the image without its entrypoint, and end by removing the container."""
        executable, *args = request.command
        gpus = GPUS[self.runtime]
        name = [f"--name={request.name}"] if request.name else []
        argv = (
            *self.engine.argv_prefix,
            *("run", "--rm", *name, "--pull=never"),
            *_unless_given(SHARED[self.runtime], self.engine.run_args),
            *self.engine.run_args,
            *([gpus] if request.gpus and gpus not in self.engine.run_args else ()),
            *(["--interactive"] if request.stdin else ()),
            *(["--tty"] if request.terminal else ()),
            *([f"--workdir={request.workdir}"] if request.workdir else ()),
            *map(_mount, request.mounts),
            *(f"--env={k}={v}" for k, v in request.env.items()),
            *(f"--entrypoint={executable}", self.image, *args),
        )
        remove = (*self.engine.argv_prefix, *REMOVE[self.runtime])
        kill = (*remove, request.name) if request.name else ()
        return CommandLine(argv, kill, {**self.engine.env})


def _mount(mount: Mount) -> str:
    access = "" if mount.writable else ",readonly"
    return f"--mount=type=bind,source={mount.source},target={mount.target}{access}"


def _unless_given(defaults: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Defaults whose option is not given: podman refuses a second --network."""
    options = {arg.partition("=")[0] for arg in given}
    return tuple(arg for arg in defaults if arg.partition("=")[0] not in options)
