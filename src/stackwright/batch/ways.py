"""How a command of a job script gets into a stack: its module, Shifter, podman-hpc, or `run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stackwright.batch.srun import PLUGIN
from stackwright.batch.words import quoted
from stackwright.inputs.stacks import Mpi
from stackwright.runtimes.mountpoints import ABOVE, TREES

TORCH = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
TORCHRUN = ("PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT")


_PLACES = " | ".join(("//*", *ABOVE, *(f"{tree}/*" for tree in TREES)))
_OF_OWN = (
    'case "$PWD" in',
    f"  {_PLACES})",
    '    echo "$PWD would lie over the image\'s own: submit from a folder of your own" >&2',
    "    exit 1 ;;",
    "esac",
)
"""Ends a script that was submitted from a folder of the system's: see `lies_over`."""


@dataclass(frozen=True)
class Way:
    """What a job script needs for a way into a stack, as lines and words of a shell.

    Args:
        options: for the scheduler, as they are.
        setup: lines before the ranks are started.
        words: what comes before the command of each rank.
    """

    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def module(tree: str, name: str, init: str | None) -> Way:
    """The stack's module, loaded once: schedulers hand the environment on to the ranks.

    Args:
        init: the file that makes the command `module`, for shells that don't have it.
    """
    have = (f"type module >/dev/null 2>&1 || source {quoted(init)}",) if init else ()
    use = f"module use {quoted(tree)}"
    return Way(setup=(*have, f"{use} && module load {quoted(name)} || exit 1"))


def meeting(mpi: Mpi) -> tuple[str, ...]:
    """Lines by which srun brings the ranks of the stack's own MPI together.

    By Slurm's own default, `none`, each rank would be a world of its own. With a plugin that a
    site hasn't, srun starts nothing, and says so.
    """
    if mpi == "none":
        return ()
    return (
        "# By this plugin of srun's the ranks of MPI find each other; without MPI it may go.",
        f"export SLURM_MPI_TYPE={PLUGIN[mpi]}",
    )


def shifter(image: str, modules: Sequence[str], *, plugin: bool) -> Way:
    """Shifter, which hands the environment on.

    Its plugin for Slurm makes the job's image ready on all nodes before the job starts, and so
    wants it among the job's options; elsewhere each rank names it:
    https://docs.nersc.gov/development/containers/shifter/how-to-use/.

    Args:
        modules: Shifter's own, such as ``gpu``.
    """
    asked = (f"--image={image}", *([f"--module={','.join(modules)}"] if modules else ()))
    return Way(asked if plugin else (), words=("shifter", *(() if plugin else map(quoted, asked))))


def podman_hpc(image: str, names: Sequence[str], modules: Sequence[str]) -> Way:
    """One container on each node, in which every rank runs: `podman-hpc shared-run`.

    The folder that the job was submitted from is seen in it, unless it would lie over the image's.
    Of the environment it hands on what is named: https://github.com/NERSC/podman-hpc. It takes
    `--shm-size` for an option without value (1.2.2 with podman 4.3.1), so that is left out.

    Args:
        modules: its own, by their options, such as ``gpu``.
    """
    return Way(
        setup=_OF_OWN,
        words=(
            *("podman-hpc", "shared-run", "--network=host"),
            *(f"--{module}" for module in modules),
            *('--volume="$PWD:$PWD"', '--workdir="$PWD"'),
            *(f"--env={name}" for name in names),
            quoted(image),
        ),
    )


def run(
    command: Sequence[str], label: str, runtime: str, names: Sequence[str], *, gpus: bool
) -> Way:
    """`stackwright run` on each node.

    Args:
        command: Stackwright, with its site and its store.
        runtime: one whose containers end with the processes that the scheduler ends.
    """
    return Way(
        words=(
            *map(quoted, (*command, "run", label, f"--runtime={runtime}")),
            *(["--gpus"] if gpus else ()),
            *(f"--env={name}" for name in names),
            "--",
        )
    )
