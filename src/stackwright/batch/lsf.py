"""Job scripts for LSF with jsrun: https://www.ibm.com/docs/en/spectrum-lsf/10.1.0?topic=bsub-options."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.batch.request import Option, Resources, Scheduler


def options(job: Resources) -> Iterator[Option]:
    """What bsub is told: by whole nodes where the site asks for `-nnodes`, as on CORAL machines.

    Elsewhere by slots, with so many on each host and so many cores for each.
    """
    yield "-J", job.name
    if "-nnodes" in job.asks:
        yield "-nnodes", f"{job.nodes}"
    else:
        yield "-n", f"{job.nodes * job.tasks_per_node}"
        yield "-R", f'"span[ptile={job.tasks_per_node}] affinity[core({job.cpus_per_task})]"'
        yield "-x", None
    if job.minutes is not None:
        yield "-W", f"{job.minutes // 60}:{job.minutes % 60:02d}"
    if job.partition:
        yield "-q", job.partition
    if job.output:
        yield "-o", job.output
    yield ("-r" if job.requeue else "-rn"), None


def start(nodes: int, tasks: int, cpus: int, gpus: int) -> tuple[str, ...]:
    """Start tasks by jsrun: one resource set a node, in which each task has cores of its own.

    https://docs.olcf.ornl.gov/systems/summit_user_guide.html, Job Launcher (jsrun).
    """
    return (
        *("jsrun", f"--nrs={nodes}", "--rs_per_host=1", f"--tasks_per_rs={tasks}"),
        *(f"--cpu_per_rs={tasks * cpus}", f"--gpu_per_rs={gpus}", f"--bind=packed:{cpus}"),
    )


LSF = Scheduler(
    mark="#BSUB",
    submit="bsub <",
    options=options,
    stands_for={},
    start=start,
    # The first host of the file may be a launch node, which is named after its work.
    prepare=('export FIRST=$(grep -v -e batch -e login "$LSB_DJOB_HOSTFILE" | head -n 1)',),
    rank="JSM_NAMESPACE_RANK",
    local_rank="JSM_NAMESPACE_LOCAL_RANK",
    address="$FIRST",
    job_id="LSB_JOBID",
)
