"""Job scripts that run a command of a scientist in a stack, on many nodes.

Either the scheduler starts one process a rank, bound to cores of its own, and tells it what
torchrun would have told it; or, where the command is torchrun itself, one process a node, whose
ranks share the node's cores. The first is the better default: only the scheduler's own launcher
binds ranks, and it ends them all when one fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from stackwright.batch.request import Resources, Scheduler, directives
from stackwright.batch.ways import Way
from stackwright.batch.words import joined, quoted, single
from stackwright.errors import StackwrightError
from stackwright.threads import THREADS

_RANK = "export RANK=${0.rank} LOCAL_RANK=${0.local_rank} MASTER_ADDR={0.address}"
_NODE = "export PET_NODE_RANK=${0.rank} PET_MASTER_ADDR={0.address} PET_MASTER_PORT=$MASTER_PORT"
"""torchrun takes its options from such variables, too (torch.distributed.argparse_util).

Its static rendezvous: ranks are numbered node by node, and no name of a node has to be resolved.
"""


def script(
    scheduler: Scheduler, job: Resources, way: Way, command: Sequence[str], label: str
) -> str:
    """The whole script, line by line.

    Args:
        job: with the ranks as its tasks.
        label: of the stack, for its title.

    Raises:
        StackwrightError: the command is a torchrun that says itself how many ranks there are, or
            another program that starts ranks, or what the scheduler is to read would be more than
            a line.
    """
    _check_starts_none(command)
    head = [
        "#!/bin/bash",
        f"# {_title(label, job, command)}",
        *directives(scheduler, job),
        *(f"{scheduler.mark} {option}" for option in way.options),
    ]
    lines = [
        *single(head),
        "",
        *(setup := (*scheduler.first, *way.setup)),
        *([""] if setup else ()),
        *(_torchrun(scheduler, job, way, command) if by_torchrun(command) else ()),
        *(() if by_torchrun(command) else _ranks(scheduler, job, way, command)),
    ]
    return "\n".join(lines) + "\n"


def _title(label: str, job: Resources, command: Sequence[str]) -> str:
    ranks = f"{job.nodes * job.tasks_per_node} ranks of {job.cpus_per_task} cores"
    return f"{label}: {joined(command)}   ({ranks} on {job.nodes} nodes)"


def by_torchrun(command: Sequence[str]) -> bool:
    """Whether the command starts ranks itself."""
    return command[0] == "torchrun"


_STARTERS = frozenset(
    (
        *("mpiexec", "mpirun", "mpiexec.hydra", "orterun", "prterun", "horovodrun"),
        *("srun", "jsrun", "aprun", "torchrun"),
    )
)
_STARTING_MODULES = ("torch.distributed.run", "torch.distributed.launch")


def _check_starts_none(command: Sequence[str]) -> None:
    """Check that a command which every rank runs starts no ranks itself, but for plain torchrun."""
    if by_torchrun(command):
        return
    name = PurePosixPath(command[0]).name
    modules = (word for before, word in pairwise(command) if before == "-m")
    found = name if name in _STARTERS else next((m for m in modules if m in _STARTING_MODULES), "")
    if not found:
        return
    torch = found == "torchrun" or found.startswith("torch.")
    raise StackwrightError(
        f"each rank of the job would start ranks again: {found}",
        hint="write `torchrun` in its place, or `python` where the stack has no PyTorch"
        if torch
        else f"leave {found} and its options out; -N and --ranks-per-node say how many ranks there"
        " are, and each finds the others",
    )


_OURS = frozenset(
    (
        *("--nnodes", "--nproc-per-node", "--node-rank", "--standalone", "--local-addr"),
        *("--master-addr", "--master-port", "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id"),
        "--rdzv-conf",
    )
)
"""Options of torchrun that say how many ranks there are, and where they meet."""


def _check_options(command: Sequence[str]) -> None:
    """Check that a torchrun leaves to the script what the script says.

    Of an option that is given twice the last would count, and ranks would have other cores and
    threads than the script gives them.
    """
    for word in command[1:]:
        name = word.partition("=")[0].replace("_", "-")
        if word.endswith(".py") or name in ("-m", "--module", "--no-python"):
            return  # what follows is for the user's program
        if name in _OURS:
            raise StackwrightError(
                f"the job script itself gives torchrun its {name}",
                hint="leave it out; -N and --ranks-per-node say how many ranks there are",
            )


def _ranks(scheduler: Scheduler, job: Resources, way: Way, command: Sequence[str]) -> Iterator[str]:
    """One process a rank, told what torchrun would tell it."""
    ranks = job.nodes * job.tasks_per_node
    yield "# Rank 0 is on the first node; a job's ranks meet there, at a port of its own."
    yield from scheduler.prepare
    yield f"export WORLD_SIZE={ranks} LOCAL_WORLD_SIZE={job.tasks_per_node} {_port(scheduler)}"
    yield _threads(job)
    yield ""
    start = scheduler.start(job.nodes, job.tasks_per_node, job.cpus_per_task, job.gpus_per_node)
    yield from _started(start, _RANK.format(scheduler), way, map(quoted, command))


def _torchrun(
    scheduler: Scheduler, job: Resources, way: Way, command: Sequence[str]
) -> Iterator[str]:
    """One torchrun a node, of which the first is the master."""
    _check_options(command)
    yield "# The first node's torchrun is the master; a job has a port of its own."
    yield from scheduler.prepare
    yield f"export {_port(scheduler)}"
    yield _threads(job)
    yield ""
    cores = job.tasks_per_node * job.cpus_per_task
    start = scheduler.start(job.nodes, 1, cores, job.gpus_per_node)
    ranks = (f"--nnodes={job.nodes}", f"--nproc-per-node={job.tasks_per_node}")
    words = ("torchrun", *ranks, *map(quoted, command[1:]))
    yield from _started(start, _NODE.format(scheduler), way, words)


def _started(
    start: Sequence[str], told: str, way: Way, command: Iterator[str] | Sequence[str]
) -> Iterator[str]:
    yield f"{' '.join(start)} \\"
    yield f"  bash -c '{told}; exec \"$@\"' rank \\"
    yield f"  {' '.join((*way.words, *command))}"


def _port(scheduler: Scheduler) -> str:
    number = f"${{{scheduler.job_id}%%[!0-9]*}}"  # PBS adds the server's name
    return f"MASTER_PORT=$((20000 + {number} % 10000))"


def _threads(job: Resources) -> str:
    told = (f"{name}={job.cpus_per_task}" for name in THREADS)
    return f"export {' '.join(told)}"
