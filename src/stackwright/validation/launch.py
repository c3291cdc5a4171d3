"""The command line that runs one case in one artefact.

Pure functions from what is to be run and where to the `argv`, `kill` and `env` of docs/formats.md.
A channel is how users get the stack: an image under some runtime, or a module. Values travel as
argv elements of their own and never through a shell's quoting; nothing of the caller's environment
is read. `@OUT@`, `@NAME@`, `@NONCE@` and `@STARTED@` are left for the driver to fill in for each
run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Launcher = Literal["none", "torchrun", "mpirun"]
ContainerRuntime = Literal["podman", "docker"]

PROBE = "bin/roofline"
"""The roofline probe's binary, relative to the payload's folder; apart from what is hashed."""

_SHARED = ("--network=host", "--shm-size=1g")
SHARED: Mapping[ContainerRuntime, tuple[str, ...]] = {
    "podman": _SHARED,
    "docker": (*_SHARED, "--cap-add=SYS_PTRACE"),
}
"""How containers are run unless the engine's own arguments say otherwise.

The host's network, as Shifter gives it. MPICH and data loaders talk through /dev/shm, which is
64 MiB by default; it stays private to the container, so a killed run leaves no segment behind.
Ranks read each other's large messages by process_vm_readv(2), which docker's seccomp profile may
keep for those who may trace.
"""

REMOVE: Mapping[ContainerRuntime, tuple[str, ...]] = {
    "podman": ("rm", "--force", "--ignore", "--time=0"),
    "docker": ("rm", "--force"),
}
"""Ends a container at once in any state; `kill` leaves one that was created but not started."""

CONTAINER_OUT, CONTAINER_PAYLOAD = "/stackwright/out", "/stackwright/payload"
PRIVATE_TMP = "/tmp"  # noqa: S108
"""A tmpfs where runtimes make mount points that they cannot make in a read-only image."""

MODULE_SHELL = 'source "$1" && module use "$2" && module load "$3" && shift 3 && exec "$@"'
"""Stops at the first failure: a module that did not load must not measure the host."""


@dataclass(frozen=True)
class Program:
    """What a case runs.

    Args:
        script: path relative to the payload's folder, such as `cases/gradients.py`.
        args: the script's arguments.
        launcher: what starts the ranks.
        ranks: number of processes.
        threads: OpenMP and MKL threads of each rank.
        timeout_s: seconds after which the driver ends the run.
    """

    script: str
    args: tuple[str, ...]
    launcher: Launcher
    ranks: int
    threads: int
    timeout_s: float


@dataclass(frozen=True)
class Engine:
    """How a runtime's binary is called on this machine, as `stackwright doctor` found it.

    Args:
        argv_prefix: the binary and its global options, such as `podman --runtime runc`.
        run_args: options of its run command, each in the form `--option=value`.
        env: what the binary itself needs; the payload does not see it.
    """

    argv_prefix: tuple[str, ...]
    run_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """One arm of a case in job.json; `kill` is empty where signals to the processes suffice."""

    argv: tuple[str, ...]
    kill: tuple[str, ...]
    env: Mapping[str, str]


class Channel(Protocol):
    """A way in which users get the stack."""

    def launch(self, program: Program, payload: Path) -> Launch:
        """Build the command line; `payload` is the host's folder of cases and probes."""


@dataclass(frozen=True)
class Container:
    """An image in podman's or docker's local storage, named by its ID or digest."""

    runtime: ContainerRuntime
    engine: Engine
    image: str

    def launch(self, program: Program, payload: Path) -> Launch:
        """Run the image without its entrypoint, and end by removing the container."""
        executable, *args = command(program, CONTAINER_PAYLOAD)
        env = environment(program, CONTAINER_PAYLOAD, CONTAINER_OUT)
        argv = (
            *self.engine.argv_prefix,
            *("run", "--rm", "--name=@NAME@", "--pull=never"),
            *_unless_given(SHARED[self.runtime], self.engine.run_args),
            *self.engine.run_args,
            f"--mount=type=bind,source=@OUT@,target={CONTAINER_OUT}",
            f"--mount=type=bind,source={payload},target={CONTAINER_PAYLOAD},readonly",
            *(f"--env={k}={v}" for k, v in env.items()),
            *(f"--entrypoint={executable}", self.image, *args),
        )
        kill = (*self.engine.argv_prefix, *REMOVE[self.runtime], "@NAME@")
        return Launch(argv, kill, dict(self.engine.env))


@dataclass(frozen=True)
class Charliecloud:
    """A directory or squashfs under ch-run, which ignores an image's own environment.

    ch-run binds only onto folders that exist or can be made, hence the private /tmp; and it cannot
    bind read-only, so the payload is protected by its file permissions alone.

    Args:
        engine: how ch-run is called.
        root: the unpacked image, or its squashfs.
        image_env: the environment that the image's configuration sets.
    """

    engine: Engine
    root: Path
    image_env: Mapping[str, str]

    def launch(self, program: Program, payload: Path) -> Launch:
        """Run under ch-run with nothing of the host's environment."""
        out, inside = PRIVATE_TMP + CONTAINER_OUT, PRIVATE_TMP + CONTAINER_PAYLOAD
        env = {"HOME": "/root", **self.image_env, **environment(program, inside, out)}
        argv = (
            *self.engine.argv_prefix,
            *("--private-tmp", "--unset-env=*", "--env-no-expand"),
            *self.engine.run_args,
            *(f"--set-env={k}={v}" for k, v in env.items()),
            *(f"--bind=@OUT@:{out}", f"--bind={payload}:{inside}"),
            *(str(self.root), "--", *command(program, inside)),
        )
        return Launch(argv, (), {"USER": "stackwright", **self.engine.env})


@dataclass(frozen=True)
class Bubblewrap:
    """An unpacked image, or its squashfs mounted beforehand, under bwrap.

    Args:
        engine: how bwrap is called.
        root: the image's root folder.
        image_env: the environment that the image's configuration sets.
    """

    engine: Engine
    root: Path
    image_env: Mapping[str, str]

    def launch(self, program: Program, payload: Path) -> Launch:
        """Run in a PID namespace of its own, which ends with bwrap."""
        out, inside = PRIVATE_TMP + CONTAINER_OUT, PRIVATE_TMP + CONTAINER_PAYLOAD
        env = {"HOME": "/root", **self.image_env, **environment(program, inside, out)}
        argv = (
            *self.engine.argv_prefix,
            *("--unshare-pid", "--die-with-parent", "--clearenv"),
            *("--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev"),
            *("--tmpfs", PRIVATE_TMP, "--bind", "@OUT@", out),
            *("--ro-bind", str(payload), inside),
            *self.engine.run_args,
            *(word for k, v in env.items() for word in ("--setenv", k, v)),
            *("--", *command(program, inside)),
        )
        return Launch(argv, (), dict(self.engine.env))


@dataclass(frozen=True)
class Module:
    """A prefix that users load with Lmod.

    Args:
        lmod_init: Lmod's init file for bash.
        tree: the folder that goes onto MODULEPATH.
        name: the module with its version.
    """

    lmod_init: Path
    tree: Path
    name: str

    def launch(self, program: Program, payload: Path) -> Launch:
        """Load the module in a shell that reads no start-up file, then become the command."""
        shell = ("bash", "--noprofile", "--norc", "-c", MODULE_SHELL, "stackwright")
        module = (str(self.lmod_init), str(self.tree), self.name)
        argv = (*shell, *module, *command(program, str(payload)))
        return Launch(argv, (), environment(program, str(payload), "@OUT@"))


def launch(program: Program, channel: Channel, payload: Path) -> Launch:
    """Build what job.json says of one arm: the program, through the channel that holds its stack.

    Raises:
        ValueError: the program or the payload's path cannot be passed on; the text says why.
    """
    if program.ranks < 1 or program.threads < 1:
        raise ValueError(f"{program.script}: ranks and threads must be at least 1")
    if program.launcher == "none" and program.ranks != 1:
        raise ValueError(f"{program.script}: {program.ranks} ranks need a launcher; use torchrun")
    if not payload.is_absolute() or set(str(payload)) & set(':,"\n'):
        raise ValueError(f"{payload}: mounts need an absolute path without colon, comma or quote")
    return channel.launch(program, payload)


def command(program: Program, payload: str) -> tuple[str, ...]:
    """The command as seen where the stack is; `payload` is the payload's folder there.

    torchrun's rendezvous is bound to the loopback and a free port: `--standalone` resolves the
    host's name, which not every machine can. mpiexec is hydra, of the stack's own prefix.
    """
    script = (f"{payload}/{program.script}", *program.args)
    ranks = str(program.ranks)
    return {
        "none": ("python", *script),
        "torchrun": (
            *("python", "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={ranks}"),
            *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"),
            *("--local-addr=127.0.0.1", *script),  # the host's name may mean nothing in an image
        ),
        "mpirun": ("mpiexec", "-n", ranks, "python", *script),
    }[program.launcher]


def environment(program: Program, payload: str, out: str) -> dict[str, str]:
    """What the payload finds in its environment, besides what the stack itself sets."""
    return {
        "OMP_NUM_THREADS": str(program.threads),
        "MKL_NUM_THREADS": str(program.threads),
        "STACKWRIGHT_OUT": out,
        "STACKWRIGHT_NONCE": "@NONCE@",
        "STACKWRIGHT_TIMEOUT_S": f"{program.timeout_s:g}",
        "STACKWRIGHT_RUN": "@NAME@",
        "STACKWRIGHT_STARTED": "@STARTED@",
        "STACKWRIGHT_ROOFLINE": f"{payload}/{PROBE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _unless_given(defaults: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Defaults whose option is not given: podman refuses a second --network."""
    options = {arg.partition("=")[0] for arg in given}
    return tuple(arg for arg in defaults if arg.partition("=")[0] not in options)
