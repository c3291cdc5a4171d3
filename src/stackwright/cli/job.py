"""``stackwright job``: a job script that runs a command in a released stack."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, pass_context
from stackwright.cli.dashes import AfterDashes
from stackwright.cli.submit import job_options

if TYPE_CHECKING:
    from stackwright.batch.request import Resources, Scheduler
    from stackwright.batch.ways import Way
    from stackwright.certify.artefact import Artefact
    from stackwright.inputs.systems import System
    from stackwright.workshop import Workshop

WAYS = ("module", "shifter", "podman-hpc", "run")


@click.command("job", cls=AfterDashes)
@click.argument("label")
@click.argument("words", metavar="-- COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("-N", "--nodes", type=click.IntRange(1), default=1, help="How many nodes (else 1).")
@click.option(
    "--ranks-per-node",
    type=click.IntRange(1),
    help="Processes on each node (else one for each GPU, else 1); they share its cores evenly.",
)
@click.option("--way", type=click.Choice(WAYS), default="module", help="Into the stack (module).")
@click.option("--image", metavar="NAME", help="As shifter or podman-hpc knows the image.")
@click.option(
    "--scheduler",
    type=click.Choice(("slurm", "lsf", "pbs")),
    help="Else the system's; needed where its file says none, as that of local does.",
)
@job_options
@click.option(
    "--output", metavar="FILE", help="For what the job prints (else the scheduler's own)."
)
@click.option("--submit", is_flag=True, help="Submit it (Slurm) in place of printing it.")
@pass_context
def command(
    context: Context,
    label: str,
    words: tuple[str, ...],
    nodes: int,
    ranks_per_node: int | None,
    way: str,
    image: str | None,
    scheduler: str | None,
    limit: str | None,
    partition: str | None,
    given: tuple[str, ...],
    output: str | None,
    submit: bool,
) -> None:
    """Print a job script that runs a command in a released stack, one process a rank.

    Each rank is bound to cores of its own, has as many threads, and is told what torchrun would
    tell it (RANK, WORLD_SIZE, MASTER_ADDR...). A command that begins with torchrun is started once
    on each node instead, and starts the ranks there itself.

    \b
    Examples:
      stackwright job pytorch -N 2 -- python train.py > job.sh
      stackwright job pytorch@local -N 2 --scheduler slurm -- python train.py > job.sh
      stackwright job pytorch -N 4 --way shifter --time 120 --set account=m1 -- python train.py
      stackwright job pytorch -N 2 --ranks-per-node 4 -- torchrun train.py
    """
    from stackwright.batch import ways
    from stackwright.batch.script import by_torchrun, script
    from stackwright.batch.slurm import SLURM
    from stackwright.building.recipe import installed_mpi
    from stackwright.cli.torchrun import check_torchrun
    from stackwright.cli.workshop import open_workshop, released_to_run

    shop = open_workshop(context, label)
    hint = f"its administrators do that: stackwright release '{shop.label}'"
    artefact = released_to_run(shop, hint)
    check_torchrun(words, shop, artefact, "`python`, whose ranks the job starts,")
    system = shop.site.system(shop.label.system)
    dialect = _scheduler(scheduler or system.scheduler, system)
    job = _resources(shop, system, nodes, ranks_per_node, limit, partition, given, output)
    by_slurm = dialect.mark == SLURM.mark
    entry = _way(way, shop, artefact, image, words, nodes, by_slurm=by_slurm)
    if way == "module" and by_slurm and not by_torchrun(words):
        mpi = installed_mpi(shop.store.path(artefact.prefix.path))
        entry = replace(entry, setup=(*entry.setup, *ways.meeting(mpi)))
    text = script(dialect, job, entry, words, str(shop.label))
    if not submit:
        click.echo(text, nl=False)
        return
    _submitted(shop, dialect, job, text)


def _scheduler(name: str, system: System) -> Scheduler:
    from stackwright.batch.lsf import LSF
    from stackwright.batch.pbs import PBS
    from stackwright.batch.slurm import SLURM
    from stackwright.errors import StackwrightError

    known = {"slurm": SLURM, "lsf": LSF, "pbs": PBS}
    if name not in known:
        raise StackwrightError(
            f"the scheduler of '{system.name}' is {name}, for which no job scripts are written",
            hint="name another: --scheduler slurm",
        )
    return known[name]


def _resources(
    shop: Workshop,
    system: System,
    nodes: int,
    ranks_per_node: int | None,
    limit: str | None,
    partition: str | None,
    given: tuple[str, ...],
    output: str | None,
) -> Resources:
    """What the job asks for: whole nodes, whose cores the ranks share evenly."""
    from stackwright.batch.request import Resources, answers
    from stackwright.cli.submit import minutes, settings
    from stackwright.errors import StackwrightError
    from stackwright.inputs.systems import Batch

    gpus = sum(gpu.count for gpu in system.gpus)
    tasks = ranks_per_node or gpus or 1
    if tasks > system.cpu.cores:
        raise StackwrightError(
            f"{tasks} ranks can't share the {system.cpu.cores} cores of a node of '{system.name}'",
            hint=f"--ranks-per-node {system.cpu.cores} at most",
        )
    batch = system.batch or Batch()
    return Resources(
        name=shop.label.stack,
        nodes=nodes,
        tasks_per_node=tasks,
        cpus_per_task=system.cpu.cores // tasks,
        gpus_per_node=gpus,
        minutes=minutes(limit) if limit else None,
        partition=partition or batch.partition,
        options=batch.options,
        asks=batch.asks,
        filled=answers(batch.asks, settings(given), system.name),
        output=output,
    )


def _way(
    name: str,
    shop: Workshop,
    artefact: Artefact,
    image: str | None,
    words: tuple[str, ...],
    nodes: int,
    *,
    by_slurm: bool,
) -> Way:
    """The way into the stack, with what the site injects and the network between nodes.

    Images are named by what was certified, as names may be given to others: Shifter's by the
    manifest's digest, podman-hpc's by that of the configuration, its ID.
    """
    from stackwright.batch import ways
    from stackwright.batch.script import by_torchrun
    from stackwright.batch.srun import network
    from stackwright.batch.words import check_word, quoted
    from stackwright.errors import StackwrightError
    from stackwright.runtimes.injections import CARRIERS, carried_by
    from stackwright.shifter.layout import image_id
    from stackwright.threads import THREADS

    if image is not None:
        if name not in CARRIERS:
            raise StackwrightError("--image goes with --way shifter or podman-hpc")
        check_word(image, "--image")
    system, injections = (
        shop.site.system(shop.label.system),
        shop.site.injections(shop.label.system),
    )
    settled = {each.name for each in shop.plan.environment}
    variables = network(system.fabric, settled) if nodes > 1 else {}
    if name in CARRIERS:
        variables |= {k: v for one in injections for k, v in one.env.items()}
    told = (*(ways.TORCHRUN if by_torchrun(words) else ways.TORCH), *THREADS, *variables)
    gpu = ["gpu"] if system.gpus else []
    if name == "shifter":
        modules = dict.fromkeys((*carried_by("shifter", injections), *gpu))
        way = ways.shifter(
            image or f"id:{image_id(artefact.image.digest)}", [*modules], plugin=by_slurm
        )
    elif name == "podman-hpc":
        modules = dict.fromkeys((*carried_by("podman-hpc", injections), *gpu))
        way = ways.podman_hpc(
            image or artefact.image.config.removeprefix("sha256:"), told, [*modules]
        )
    elif name == "run":
        where = ("--site", str(shop.site.root.absolute()), "--store", str(shop.store.root))
        command = ("stackwright", *where)
        runtime = _ending_with_the_job(system)
        way = ways.run(command, str(shop.label), runtime, told, gpus=bool(system.gpus))
    else:
        way = ways.module(str(shop.store.root / "live/modules"), shop.label.module, _lmod())
    exports = [f"export {name}={quoted(value)}" for name, value in variables.items()]
    return replace(way, setup=(*way.setup, *exports))


def _ending_with_the_job(system: System) -> str:
    """The first run time of a system that leaves nothing when a job is cancelled."""
    from stackwright.errors import StackwrightError
    from stackwright.tools.engines import CONTAINER_ENGINES

    for name in system.runtimes:
        if name not in CONTAINER_ENGINES:
            return name
    raise StackwrightError(
        f"'{system.name}' has {', '.join(system.runtimes)} only: their containers outlive a job"
        " that is cancelled",
        hint="--way module, or another of `runtimes` in its file, such as charliecloud",
    )


def _lmod() -> str | None:
    """Lmod's init file; nodes may have it elsewhere than this machine, or users their own."""
    from stackwright.errors import StackwrightError
    from stackwright.tools.lmod import find_init

    try:
        return str(find_init())
    except StackwrightError:
        return None


def _submitted(shop: Workshop, scheduler: Scheduler, job: Resources, text: str) -> None:
    """Submit a script from the current folder, and say which job it became."""
    from stackwright.batch.request import check_filled
    from stackwright.batch.slurm import SLURM
    from stackwright.batch.slurmjobs import SlurmJobs
    from stackwright.errors import StackwrightError
    from stackwright.tools.process import Runner

    if scheduler is not SLURM:
        raise StackwrightError(
            "only Slurm's jobs are submitted", hint=f"print it, then: {scheduler.submit} job.sh"
        )
    check_filled(scheduler, job, shop.label.system)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(text)
        number = SlurmJobs(shop.runner(), Runner()).submit(path, "the same without --submit")
    click.echo(f"submitted job {number}; see: squeue --job={number}")
