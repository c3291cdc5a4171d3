"""Job scripts for Slurm: https://slurm.schedmd.com/sbatch.html."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.batch.request import Option, Resources, Scheduler


def options(job: Resources) -> Iterator[Option]:
    """What sbatch is told: whole nodes with all their memory, counted in cores."""
    yield "--job-name", job.name
    yield "--nodes", f"{job.nodes}"
    yield "--ntasks-per-node", f"{job.tasks_per_node}"
    yield "--cpus-per-task", f"{job.cpus_per_task}"
    yield "--threads-per-core", "1"
    yield "--exclusive", None
    yield "--mem", "0"
    if job.clock:
        yield "--time", job.clock
    if job.partition:
        yield "--partition", job.partition
    if job.output:
        yield "--output", job.output
    yield ("--requeue" if job.requeue else "--no-requeue"), None


def start(nodes: int, tasks: int, cpus: int, _gpus: int) -> tuple[str, ...]:
    """Start tasks by srun, bound to cores; it takes over none of this from sbatch since 22.05.

    Ranks choose their GPU by LOCAL_RANK, so that they can reach each other's memory.
    """
    return (
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes * tasks}", f"--ntasks-per-node={tasks}"),
        *(f"--cpus-per-task={cpus}", "--threads-per-core=1", "--cpu-bind=cores"),
        "--kill-on-bad-exit=1",
    )


SLURM = Scheduler(
    mark="#SBATCH",
    submit="sbatch",
    options=options,
    stands_for={
        "-N": "--nodes",
        "-t": "--time",
        "-p": "--partition",
        "-n": "--ntasks-per-node",
        "--ntasks": "--ntasks-per-node",
    },
    start=start,
    prepare=(),
    rank="SLURM_PROCID",
    local_rank="SLURM_LOCALID",
    address="$SLURM_LAUNCH_NODE_IPADDR",
    job_id="SLURM_JOB_ID",
)
