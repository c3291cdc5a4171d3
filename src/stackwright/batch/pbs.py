"""Job scripts for PBS Professional and OpenPBS with PALS: qsub(1B), User's Guide."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.batch.request import Option, Resources, Scheduler


def options(job: Resources) -> Iterator[Option]:
    """What qsub is told: chunks of a whole node each, with their ranks and threads."""
    cpus = job.tasks_per_node * job.cpus_per_task
    ranks = f"mpiprocs={job.tasks_per_node}:ompthreads={job.cpus_per_task}"
    yield "-N", job.name
    yield "-l", f"select={job.nodes}:ncpus={cpus}:{ranks}"
    yield "-l", "place=scatter:excl"
    if job.clock:
        yield "-l", f"walltime={job.clock}"
    if job.partition:
        yield "-q", job.partition
    if job.output:
        yield "-o", job.output
    yield "-j", "oe"
    yield "-r", "y" if job.requeue else "n"


def start(nodes: int, tasks: int, cpus: int, _gpus: int) -> tuple[str, ...]:
    """Start tasks by the mpiexec of PALS, HPE's launcher: https://docs.alcf.anl.gov/polaris/."""
    return (
        *('"$PALS"', f"-n {nodes * tasks}", f"--ppn {tasks}", f"--depth {cpus}"),
        "--cpu-bind depth",
    )


PBS = Scheduler(
    mark="#PBS",
    submit="qsub",
    options=options,
    stands_for={},
    start=start,
    first=(
        "# The stack may bring an mpiexec of its own: that of PALS is looked up before.",
        'PALS=$(command -v mpiexec) || { echo "there is no mpiexec of PALS in PATH" >&2; exit 1; }',
    ),
    prepare=('cd "$PBS_O_WORKDIR" || exit 1', 'export FIRST=$(head -n 1 "$PBS_NODEFILE")'),
    rank="PALS_RANKID",
    local_rank="PALS_LOCAL_RANKID",
    address="$FIRST",
    job_id="PBS_JOBID",
)
