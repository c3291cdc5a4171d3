"""Command lines of run times without a daemon and an image store, and of Shifter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stackwright.runtimes.request import CommandLine, Engine, Mount, Request

PRIVATE_TMP = "/tmp"  # noqa: S108
"""A tmpfs where these make mount points that they cannot make in a read-only image."""


@dataclass(frozen=True)
class _Root:
    """What runs an image's files, and leaves its configuration to the caller.

    Args:
        engine: how the program is called.
        root: the unpacked image, or its squashfs, where the program takes one.
        image_env: the environment that the image's configuration sets.
    """

    engine: Engine
    root: Path
    image_env: Mapping[str, str]

    mounts_below: ClassVar[str] = PRIVATE_TMP


class Charliecloud(_Root):
    """A folder or squashfs under ch-run, which ignores an image's own environment.

    ch-run binds only onto folders that exist or can be made, hence the private /tmp; and it cannot
    bind read-only, so what is mounted is protected by its file permissions alone.
    """

    def command_line(self, request: Request) -> CommandLine:
        """Run under ch-run with nothing of the host's environment.

        Raises:
            ValueError: it is to use GPUs, whose driver ch-run would have to find in the image.
        """
        _without_gpus(request)
        env = {"HOME": "/root", **self.image_env, **request.env}
        argv = (
            *self.engine.argv_prefix,
            *("--private-tmp", "--unset-env=*", "--env-no-expand"),
            *self.engine.run_args,
            *([f"--cd={request.workdir}"] if request.workdir else ()),
            *(f"--set-env={k}={v}" for k, v in env.items()),
            *(f"--bind={mount.source}:{mount.target}" for mount in request.mounts),
            *(str(self.root), "--", *request.command),
        )
        return CommandLine(argv, (), {"USER": "stackwright", **self.engine.env})


class Bubblewrap(_Root):
    """An unpacked image, or its squashfs mounted beforehand, under bwrap."""

    def command_line(self, request: Request) -> CommandLine:
        """Run in a PID namespace of its own, which ends with bwrap.

        Raises:
            ValueError: it is to use GPUs, whose driver bwrap does not bring.
        """
        _without_gpus(request)
        env = {"HOME": "/root", **self.image_env, **request.env}
        argv = (
            *self.engine.argv_prefix,
            *("--unshare-pid", "--die-with-parent", "--clearenv"),
            *("--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev"),
            *("--tmpfs", PRIVATE_TMP),
            *(word for mount in request.mounts for word in _bind(mount)),
            *self.engine.run_args,
            *(("--chdir", request.workdir) if request.workdir else ()),
            *(word for k, v in env.items() for word in ("--setenv", k, v)),
            *("--", *request.command),
        )
        return CommandLine(argv, (), {**self.engine.env})


class Apptainer(_Root):
    """A squashfs, a folder or a SIF file under apptainer; of these only a SIF holds variables."""

    def command_line(self, request: Request) -> CommandLine:
        """Run with nothing of the host's environment, home or /tmp."""
        env = {**self.image_env, **request.env}
        argv = (
            *(*self.engine.argv_prefix, "exec", "--containall", "--no-home", "--no-umask"),
            *self.engine.run_args,
            *(["--nv"] if request.gpus else ()),
            *([f"--pwd={request.workdir}"] if request.workdir else ()),
            *(
                f"--bind={m.source}:{m.target}:{'rw' if m.writable else 'ro'}"
                for m in request.mounts
            ),
            *(f"--env={k}={v}" for k, v in env.items()),
            *(str(self.root), *request.command),
        )
        return CommandLine(argv, (), {**self.engine.env})


@dataclass(frozen=True)
class Shifter:
    """An image that Shifter's gateway holds; NERSC/shifter 22.02.

    Args:
        engine: how shifter is called.
        image: its name there, such as `docker:site/pytorch:2.13.0-cpu` or `id:<hex>`.
        modules: Shifter's own, such as `mpich` for the site's MPI; `gpu` comes with the request.
    """

    engine: Engine
    image: str
    modules: tuple[str, ...] = ()

    mounts_below: ClassVar[str] = (
        "/"  # it makes a missing folder directly below the root, and only there
    )

    def command_line(self, request: Request) -> CommandLine:
        """Run as the user, with the image's environment over nothing of the host's.

        Raises:
            ValueError: a folder is mounted where Shifter refuses it.
        """
        modules = (*self.modules, *(["gpu"] if request.gpus else ()))
        argv = (
            *(*self.engine.argv_prefix, f"--image={self.image}"),
            *([f"--module={','.join(modules)}"] if modules else ()),
            *self.engine.run_args,
            "--clearenv",
            *([f"--workdir={request.workdir}"] if request.workdir else ()),
            *(f"--volume={_volume(mount)}" for mount in request.mounts),
            *(f"--env={k}={v}" for k, v in request.env.items()),
            *("--", *request.command),
        )
        return CommandLine(argv, (), {**self.engine.env})


def _without_gpus(request: Request) -> None:
    if request.gpus:
        raise ValueError("it brings no driver for GPUs into the image; choose another run time")


_REFUSED = ("/etc", "/var", "/opt/udiImage")


def _volume(mount: Mount) -> str:
    """A volume; below some folders Shifter mounts none (udiRoot, shifter_core.c)."""
    target = mount.target
    refused = any(target == top or target.startswith(f"{top}/") for top in _REFUSED)
    if target == "/opt" or (refused and not target.startswith("/var/tmp/")):  # noqa: S108
        raise ValueError(f"Shifter mounts nothing at {target}; choose another place")
    return f"{mount.source}:{target}{'' if mount.writable else ':ro'}"


def _bind(mount: Mount) -> Iterator[str]:
    yield "--bind" if mount.writable else "--ro-bind"
    yield mount.source
    yield mount.target
