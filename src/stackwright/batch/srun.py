"""What srun is told, and what its ranks are told of each other: pure functions.

Outside an image srun starts one process a rank; inside it a case, or a user's script, wants to see
what torchrun or mpiexec would have told it. Run times keep the host's variables out, so the few
that matter travel as words: the prelude replaces the word `@RANK@` of the command line that it
becomes by `env NAME=VALUE ...`.

Sources: srun(1) of Slurm 22.05 and later, https://slurm.schedmd.com/srun.html; for what ranks
of torch.distributed read, https://docs.pytorch.org/docs/stable/elastic/run.html; for MPI,
https://slurm.schedmd.com/mpi_guide.html.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stackwright.inputs.stacks import Mpi
from stackwright.inputs.systems import Fabric

Meeting = Literal["torch", "pmi2", "pmix", "none"]
"""How ranks find each other: at rank 0's address, through srun's plugin for MPI, or not at all."""

RANK = "@RANK@"
"""Stands in a command line where the prelude puts what it knows of the rank."""

_PRELUDE = """\
for word do
  shift
  if [ "$word" = @RANK@ ]; then set -- "$@" env {variables}; else set -- "$@" "$word"; fi
done
exec "$@"
"""

VARIABLES: Mapping[Meeting, tuple[str, ...]] = {
    "torch": (
        '"RANK=$SLURM_PROCID"',
        '"WORLD_SIZE=$SLURM_NTASKS"',
        '"LOCAL_RANK=$SLURM_LOCALID"',
        '"LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE"',
        '"MASTER_ADDR=$SLURM_LAUNCH_NODE_IPADDR"',
        '"MASTER_PORT=$((20000 + (SLURM_JOB_ID * 31 + SLURM_STEP_ID) % 10000))"',
    ),
    "pmi2": (
        '"PMI_FD=$PMI_FD"',
        '"PMI_RANK=$PMI_RANK"',
        '"PMI_SIZE=$PMI_SIZE"',
        '"PMI_JOBID=$PMI_JOBID"',
    ),
    "pmix": (
        '"OMPI_COMM_WORLD_RANK=$SLURM_PROCID"',
        '"OMPI_COMM_WORLD_SIZE=$SLURM_NTASKS"',
        '"PMIX_RANK=$PMIX_RANK"',
        '"PMIX_NAMESPACE=$PMIX_NAMESPACE"',
        "PMIX_GDS_MODULE=hash",
        *(
            f'${{PMIX_SERVER_URI{n}+"PMIX_SERVER_URI{n}=$PMIX_SERVER_URI{n}"}}'
            for n in (51, 41, 4, 3, 21, 2)
        ),
    ),
    "none": (),
}
"""What each rank is told, in the words of a POSIX shell.

Rank 0 is on the node where srun was started, the first of the allocation, and
SLURM_LAUNCH_NODE_IPADDR is that node's address as each node sees it: no name has to be resolved.
Its port differs from step to step, and lies below those that kernels give to clients. MPICH speaks
PMI over the descriptor PMI_FD, which srun's plugin pmi2 leaves open. Open MPI speaks PMIx with the
server in slurmstepd, whose address has a name for each version that it understands; all that it
asks goes that way (`hash`), as files of the node aren't seen in an image.
"""

PLUGINS = ("pmi2", "pmix")
"""Those meetings that are plugins of srun's, too."""

PLUGIN: Mapping[Mpi, Meeting] = {"mpich": "pmi2", "openmpi": "pmix", "none": "pmi2"}
"""The plugin of srun's by which ranks of an MPI find each other."""

END_STEP = (
    "squeue --noheader --steps --job=\"$SLURM_JOB_ID\" --format='%i %j' | "
    'while read -r step name; do [ "$name" != "$1" ] || scancel "$step"; done'
)
"""Ends the step of a name on all its nodes, whatever became of its srun."""


def named(nodes: Sequence[str]) -> tuple[str, str]:
    """Options by which a step runs on just these nodes of the allocation."""
    return f"--nodes={len(nodes)}", f"--nodelist={','.join(nodes)}"


@dataclass(frozen=True)
class Step:
    """Processes that srun starts over nodes of an allocation, as many on each.

    Args:
        nodes: their names, of the allocation; the step runs on these and no others.
        cores: of each node.
        ranks: how many processes in all.
        cpus: processors that each of them has for itself, if a node has so many.
        meeting: how the ranks find each other.
        name: what the step is called, by which it can be ended.
    """

    nodes: tuple[str, ...]
    cores: int
    ranks: int
    cpus: int
    meeting: Meeting
    name: str

    @property
    def argv(self) -> tuple[str, ...]:
        """What comes before the command line that every rank runs, which may hold `@RANK@`.

        `--cpus-per-task` is not taken over from sbatch since 22.05, and counts cores where there is
        one thread per core. Where a node has fewer, its ranks share them all, as they would without
        Slurm. A rank that fails ends all; a node that can't be had any more ends the step after a
        minute.
        """
        on_each = self.ranks // len(self.nodes)
        bound = (f"--cpus-per-task={self.cpus}", "--threads-per-core=1", "--cpu-bind=cores")
        shared = ("--overcommit", "--cpu-bind=none")
        return (
            *("srun", f"--job-name={self.name}"),
            *named(self.nodes),
            *(f"--ntasks={self.ranks}", f"--ntasks-per-node={on_each}"),
            *(bound if on_each * self.cpus <= self.cores else shared),
            "--mem=0",
            f"--mpi={self.meeting if self.meeting in PLUGINS else 'none'}",
            *("--kill-on-bad-exit=1", "--immediate=60"),
            *(("sh", "-c", prelude(self.meeting), "stackwright") if self.told else ()),
        )

    @property
    def told(self) -> bool:
        """Whether ranks are told of each other."""
        return self.meeting != "none"

    @property
    def kill(self) -> tuple[str, ...]:
        """What ends it on all nodes."""
        return ("sh", "-c", END_STEP, "stackwright", self.name)


def network(fabric: Fabric | None, settled: Collection[str]) -> dict[str, str]:
    """Variables by which ranks of several nodes talk over the fabric's interfaces.

    Without them gloo takes the interface that the node's name stands for, and NCCL the first: often
    the one of the management network. UCX and libfabric take part only where the provider is TCP;
    those of a fast fabric find it themselves. Sources: torch.distributed's documentation, NCCL's
    user guide, ucx_info -cf, fi_tcp(7).

    Args:
        settled: names of variables that stack or system set themselves.
    """
    if fabric is None or not fabric.interfaces:
        return {}
    first, several = fabric.interfaces[0], ",".join(fabric.interfaces)
    told = {"GLOO_SOCKET_IFNAME": first, "NCCL_SOCKET_IFNAME": several}
    if fabric.provider in ("tcp", "sockets"):
        told |= {"UCX_NET_DEVICES": several, "FI_TCP_IFACE": first}
    return {name: value for name, value in told.items() if name not in settled}


def prelude(meeting: Meeting) -> str:
    """The shell's words that become the command line after it, with what the rank is told."""
    return _PRELUDE.format(variables=" ".join(VARIABLES[meeting]))


def spread(ranks: int, nodes: int) -> int:
    """Over how many of the nodes ranks are spread: the most on which each has as many."""
    return max(n for n in range(1, min(ranks, nodes) + 1) if ranks % n == 0)
