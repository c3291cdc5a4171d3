"""What is to run in a stack, and the command line that a run time makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from stackwright.inputs.environment import OF_RUN_TIMES


@dataclass(frozen=True)
class Mount:
    """A folder of the host and where it appears in the container."""

    source: str
    target: str
    writable: bool = False


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """A caller's environment without what would change what a run time shows."""
    return {
        name: value
        for name, value in environ.items()
        if not any(fnmatchcase(name, like) for like in OF_RUN_TIMES)
    }


@dataclass(frozen=True)
class Request:
    """A command, as it is to be run in any stack under any run time.

    Args:
        command: the program and its arguments, as seen inside.
        env: variables to set inside, beside those that the stack itself sets.
        mounts: folders of the host that the command sees.
        workdir: where it starts; else where the run time does.
        gpus: whether it uses the host's GPUs.
        name: what its container is called, by which it can be ended; else it ends with its process.
        stdin: whether it reads what this process could read.
        terminal: whether a person types into it.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    workdir: str | None = None
    gpus: bool = False
    name: str | None = None
    stdin: bool = False
    terminal: bool = False


@dataclass(frozen=True)
class CommandLine:
    """What to execute: `kill` is empty where signals to the processes suffice.

    Args:
        argv: the words; values travel as words of their own, never through a shell's quoting.
        kill: what ends it.
        env: what the run time itself needs in its environment.
    """

    argv: tuple[str, ...]
    kill: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine:
    """How a run time's program is called on this machine, as `stackwright doctor` found it.

    Args:
        argv_prefix: the program and its global options, such as `podman --runtime runc`.
        run_args: options of its run command, each in the form `--option=value`.
        env: what the program itself needs; the command inside does not see it.
    """

    argv_prefix: tuple[str, ...]
    run_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """A way to run commands in one stack.

    `mounts_below` is a folder under which it can mount anything, whatever the image holds.
    """

    @property
    def mounts_below(self) -> str:
        """See above."""

    def command_line(self, request: Request) -> CommandLine:
        """Build the command line.

        Raises:
            ValueError: the run time cannot do what is asked; the text says why.
        """


def without_gpus(request: Request) -> None:
    """Refuse what a run time that brings no driver can't do.

    Raises:
        ValueError: it is to use GPUs.
    """
    if request.gpus:
        raise ValueError("it brings no driver for GPUs into the image; choose another run time")
