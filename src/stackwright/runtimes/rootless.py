"""Command lines of run times without a daemon and without an image store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stackwright.runtimes.request import CommandLine, Engine, Request, without_gpus
from stackwright.runtimes.shifter import SCRATCH

PRIVATE_TMP = "/tmp"  # noqa: S108
"""A tmpfs where ch-run makes mount points that it cannot make in a read-only image."""


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


class Charliecloud(_Root):
    """A folder or squashfs under ch-run, which ignores an image's own environment.

    ch-run binds only onto folders that exist or can be made, hence the private /tmp; and it cannot
    bind read-only, so what is mounted is protected by its file permissions alone.
    """

    mounts_below: ClassVar[str] = PRIVATE_TMP

    def command_line(self, request: Request) -> CommandLine:
        """Run under ch-run with nothing of the host's environment.

        Raises:
            ValueError: it is to use GPUs, whose driver ch-run would have to find in the image.
        """
        without_gpus(request)
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


class Apptainer(_Root):
    """A squashfs, a folder or a SIF file under apptainer; of these only a SIF holds variables.

    It makes mount points that an image lacks (`enable underlay` in its configuration). Variables
    are handed over by its own, as `--env` takes a comma for the end of a value that holds `=`; it
    would have a shell evaluate them, but for --no-eval. /tmp is the host's: an ordinary user's own
    would have 64 MiB (`sessiondir max size`).
    """

    mounts_below: ClassVar[str] = "/"

    def command_line(self, request: Request) -> CommandLine:
        """Run with nothing of the host's environment and home."""
        env = {f"APPTAINERENV_{k}": v for k, v in {**self.image_env, **request.env}.items()}
        argv = (
            *(*self.engine.argv_prefix, "exec", "--containall", "--no-home", "--no-umask"),
            "--no-eval",
            *self.engine.run_args,
            *(["--nv"] if request.gpus else ()),
            *(f"--bind={place}:{place}:rw" for place in SCRATCH),
            *([f"--pwd={request.workdir}"] if request.workdir else ()),
            *(
                f"--bind={m.source}:{m.target}:{'rw' if m.writable else 'ro'}"
                for m in request.mounts
            ),
            *(str(self.root), *request.command),
        )
        return CommandLine(argv, (), {**env, **self.engine.env})
