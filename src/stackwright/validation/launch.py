"""The command line that runs one case in one artefact.

Pure functions from what is to be run and where to the `argv`, `kill` and `env` of docs/formats.md.
A channel is how users get the stack: an image under some runtime, or a module. Values travel as
argv elements of their own and never through a shell's quoting; nothing of the caller's environment
is read. `@OUT@`, `@NAME@`, `@NONCE@` and `@STARTED@` are left for the driver to fill in for each
run.

On one machine the stack's own launcher starts the ranks, inside. Over the nodes of an allocation
srun starts the run time once for each rank, outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from stackwright.batch.srun import PLUGIN, RANK, Meeting, Step, spread
from stackwright.inputs.stacks import Mpi
from stackwright.runtimes.request import CommandLine, Mount, Request, Runtime
from stackwright.threads import THREADS

Launcher = Literal["none", "torchrun", "mpirun", "horovodrun", "horovodrun-gloo"]

PROBE = "bin/roofline"
"""The roofline probe's binary, relative to the payload's folder; apart from what is hashed."""

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
        threads: of each rank, in every library.
        timeout_s: seconds after which the driver ends the run.
    """

    script: str
    args: tuple[str, ...]
    launcher: Launcher
    ranks: int
    threads: int
    timeout_s: float


@dataclass(frozen=True)
class Nodes:
    """Nodes of an allocation, over which srun starts the ranks.

    Args:
        names: what Slurm calls them, the first one first.
        cores: of each, which ranks have for themselves where these are enough.
        network: variables by which ranks find the network between them.
    """

    names: tuple[str, ...]
    cores: int
    network: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """What starts the ranks of a program.

    Args:
        inside: words before the script, where the stack is.
        step: what starts the run time over the nodes of an allocation; None on one machine.
        env: what ranks need of each other, besides.
    """

    inside: tuple[str, ...]
    step: Step | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def around(self, line: CommandLine) -> CommandLine:
        """The command line that starts all ranks.

        Raises:
            ValueError: what it starts would go on on another node after its process has ended.
        """
        if self.step is None:
            return line
        if line.kill:
            raise ValueError(
                f"containers of {line.argv[0]} outlive the process that srun starts, and could not"
                " be ended on other nodes; choose charliecloud"
            )
        return CommandLine((*self.step.argv, *line.argv), self.step.kill, line.env)


class Channel(Protocol):
    """A way in which users get the stack; `mpi` is the stack's own."""

    @property
    def mpi(self) -> Mpi:
        """See above."""

    def launch(self, program: Program, start: Start, payload: Path) -> CommandLine:
        """Build the command line; `payload` is the host's folder of cases and probes."""


@dataclass(frozen=True)
class Image:
    """The stack's image under a run time."""

    runtime: Runtime
    mpi: Mpi = "mpich"

    def launch(self, program: Program, start: Start, payload: Path) -> CommandLine:
        """Run the payload inside the image."""
        below = self.runtime.mounts_below.rstrip("/")
        # Images have these folders: Shifter makes no mount point below another.
        out, cases = f"{below}/stackwright/out", f"{below}/stackwright/payload"
        return self.runtime.command_line(
            Request(
                command=command(program, start, cases),
                env={**environment(program, cases, out), **start.env},
                mounts=(Mount("@OUT@", out, writable=True), Mount(str(payload), cases)),
                name="@NAME@",
            )
        )


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
    mpi: Mpi = "mpich"

    def launch(self, program: Program, start: Start, payload: Path) -> CommandLine:
        """Load the module in a shell that reads no start-up file, then become the command."""
        shell = ("bash", "--noprofile", "--norc", "-c", MODULE_SHELL, "stackwright")
        module = (str(self.lmod_init), str(self.tree), self.name)
        argv = (*shell, *module, *command(program, start, str(payload)))
        env = {**environment(program, str(payload), "@OUT@"), **start.env}
        return CommandLine(argv, (), env)


def launch(
    program: Program, channel: Channel, payload: Path, nodes: Nodes | None = None
) -> CommandLine:
    """Build what job.json says of one arm: the program, through the channel that holds its stack.

    Args:
        nodes: over which srun starts the ranks; None on this machine alone.

    Raises:
        ValueError: the program or the payload's path cannot be passed on, or the run time cannot
            be started by srun; the text says why.
    """
    if program.ranks < 1 or program.threads < 1:
        raise ValueError(f"{program.script}: ranks and threads must be at least 1")
    if program.launcher == "none" and program.ranks != 1:
        raise ValueError(f"{program.script}: {program.ranks} ranks need a launcher; use torchrun")
    if not payload.is_absolute() or set(str(payload)) & set(':,"\n'):
        raise ValueError(f"{payload}: mounts need an absolute path without colon, comma or quote")
    start = over(nodes, program, channel.mpi) if nodes else here(program)
    return start.around(channel.launch(program, start, payload))


def here(program: Program) -> Start:
    """Start the ranks on this machine, by the stack's own launcher.

    torchrun's rendezvous is bound to the loopback and a free port: `--standalone` resolves the
    host's name, which not every machine can. mpiexec is that of the stack's own prefix, hydra or
    Open MPI's, without options: what it needs, the stack sets for users as well. It is also what
    horovodrun starts ranks by, unless it does so itself, for Horovod's controller over gloo.
    """
    ranks = str(program.ranks)
    inside: Mapping[Launcher, tuple[str, ...]] = {
        "none": ("python",),
        "torchrun": (
            *("python", "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={ranks}"),
            *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"),
            "--local-addr=127.0.0.1",  # the host's name may mean nothing in an image
        ),
        "mpirun": ("mpiexec", "-n", ranks, "python"),
        "horovodrun": ("horovodrun", "-np", ranks, "--mpi", "python"),
        "horovodrun-gloo": ("horovodrun", "-np", ranks, "--gloo", "python"),
    }
    return Start(inside[program.launcher])


def meeting(launcher: Launcher, mpi: Mpi) -> Meeting:
    """What srun's ranks are told, so that a case finds what its own launcher would have told it.

    Raises:
        ValueError: srun can't tell ranks what their launcher would.
    """
    told: Mapping[Launcher, Meeting] = {
        "none": "none",
        "torchrun": "torch",
        "mpirun": PLUGIN[mpi],
        "horovodrun": PLUGIN[mpi],
    }
    if launcher not in told:
        raise ValueError(
            f"{launcher} starts ranks on other nodes by ssh and a server of its own, not by"
            " srun; use horovodrun"
        )
    return told[launcher]


def over(nodes: Nodes, program: Program, mpi: Mpi) -> Start:
    """Start the ranks by srun, spread over the first nodes of the allocation.

    Raises:
        ValueError: srun can't tell ranks what their launcher would.
    """
    step = Step(
        nodes=nodes.names[: spread(program.ranks, len(nodes.names))],
        cores=nodes.cores,
        ranks=program.ranks,
        cpus=program.threads,
        meeting=meeting(program.launcher, mpi),
        name="@NAME@",
    )
    return Start((*([RANK] if step.told else ()), "python"), step, nodes.network)


def command(program: Program, start: Start, payload: str) -> tuple[str, ...]:
    """The command as seen where the stack is; `payload` is the payload's folder there."""
    return (*start.inside, f"{payload}/{program.script}", *program.args)


def environment(program: Program, payload: str, out: str) -> dict[str, str]:
    """What the payload finds in its environment, besides what the stack itself sets."""
    return {
        **dict.fromkeys(THREADS, str(program.threads)),
        "STACKWRIGHT_OUT": out,
        "STACKWRIGHT_NONCE": "@NONCE@",
        "STACKWRIGHT_TIMEOUT_S": f"{program.timeout_s:g}",
        "STACKWRIGHT_RUN": "@NAME@",
        "STACKWRIGHT_STARTED": "@STARTED@",
        "STACKWRIGHT_ROOFLINE": f"{payload}/{PROBE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
