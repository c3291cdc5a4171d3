"""Job scripts for PBS Professional and OpenPBS: qsub(1B), https://openpbs.org, User's Guide."""

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


PBS = Scheduler(
    mark="#PBS",
    submit="qsub",
    options=options,
    stands_for={},
    first_node='head -n 1 "$PBS_NODEFILE"',
    job_id="PBS_JOBID",
)
