"""``stackwright validate``: run a suite inside the artefact, and judge what came of it."""

from __future__ import annotations

import os
import sys
import time
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.cli.submit import job_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackwright.cli.progress import Progress
    from stackwright.inputs.labels import Label
    from stackwright.validation.judgement import Judgement
    from stackwright.validation.session import Session
    from stackwright.workshop import Workshop

RUNTIMES = (
    *("podman", "docker", "podman-hpc", "shifter", "charliecloud", "apptainer", "bubblewrap"),
)


@click.command("validate")
@click.argument("label")
@click.option("--suite", help="The suite to run (else the one that the stack requires).")
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="CASE",
    help="Only this case of the suite, by name or id, to look at it; again for each. No"
    " certificate comes of it.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Continue this interrupted run, by its folder (else the newest that fits).",
)
@click.option("--fresh", is_flag=True, help="Begin anew, though there is a run to continue.")
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="What runs the image (else the system's first that works here).",
)
@click.option(
    "--launcher",
    type=click.Choice(("local", "slurm", "srun")),
    default="local",
    help="slurm: over the nodes of a job that is submitted; srun: of the job that this is in.",
)
@click.option("-N", "--nodes", type=click.IntRange(1), help="How many nodes (else 1).")
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as JSON.")
@pass_context
def command(
    context: Context,
    *,
    label: str,
    suite: str | None,
    cases: tuple[str, ...],
    resume: Path | None,
    fresh: bool,
    runtime: str | None,
    launcher: str,
    nodes: int | None,
    limit: str | None,
    partition: str | None,
    given: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run a validation suite inside a built label, through its image and its module.

    With a release to compare with, both are run in pairs, in random order, on this machine. A run
    that was interrupted goes on where it stopped, unless something that it measures has changed.
    With --launcher slurm a job is submitted, in which all of this happens over its nodes, and
    followed to its end; Ctrl-C cancels it.
    Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID, HUNG or UNAVAILABLE.

    \b
    Examples:
      stackwright validate pytorch
      stackwright validate pytorch/2.13.0-cpu@local --suite smoke --runtime charliecloud
      stackwright validate pytorch --fresh
      stackwright validate pytorch --suite certify --case hepcnn --case collectives-gloo.torchrun-2
      stackwright validate pytorch --launcher slurm -N 2 --time 2:00:00 --set account=m1234
      stackwright validate pytorch --resume STORE/runs/20261120T194000Z-1f2e3d4c
    """
    from stackwright.cli.progress import Progress
    from stackwright.cli.verdicts import exit_code, print_judgement
    from stackwright.cli.workshop import open_workshop
    from stackwright.validation.session import Session

    if resume is not None and (suite or cases or fresh or runtime):
        raise click.UsageError("--resume continues a run as it is: leave the other options out")
    if launcher == "local" and nodes:
        raise click.UsageError("this machine is one node: --nodes goes with --launcher slurm")
    if launcher != "slurm" and (limit or partition or given):
        raise click.UsageError("--time, --partition and --set are for --launcher slurm")
    progress = Progress(color=context.color)
    shop = open_workshop(context, label, progress)
    session = Session(shop.site, shop.store, shop.runner(), shop.measure_arms, runtime)
    chosen = suite or shop.suite
    session.check_suite(chosen, cases)  # a mistake of a second, before what takes minutes to mend
    artefact = shop.artefact
    if launcher == "slurm":
        from stackwright.cli.submit import Asked, validated

        if resume is not None:
            raise click.UsageError("a job goes on with the newest run that fits: without --resume")
        asked = Asked(suite, runtime, nodes or 1, limit, partition, given, fresh=fresh, cases=cases)
        folder, judgement = validated(shop, session, asked)
    else:
        if launcher == "srun":
            session, fresh = _in_allocation(session, nodes or 1, fresh=fresh)
        with session.alone():
            with progress:
                if resume is None and not fresh:
                    resume = session.unfinished(artefact, chosen, cases)
                folder = _folder(session, shop, (chosen, cases), resume, progress)
            judgement = _run(session, folder, str(shop.label))
    if as_json:
        echo_json(judgement.model_dump(mode="json", by_alias=True))
    else:
        print_judgement(context, judgement)
        click.echo(_next(judgement, shop.label, shop.suite, folder))
    return exit_code(judgement.verdict)


def _in_allocation(session: Session, nodes: int, *, fresh: bool) -> tuple[Session, bool]:
    """The session over the nodes of this job; one that was put back into the queue goes on."""
    from stackwright.batch.allocation import nodes_here

    restarted = int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
    names = nodes_here(os.environ, nodes, session.runner)
    return replace(session, nodes=names), fresh and not restarted


def _folder(
    session: Session,
    shop: Workshop,
    asked: tuple[str, tuple[str, ...]],
    resume: Path | None,
    progress: Progress,
) -> Path:
    """The folder of the run: of the one to resume, else of a new one."""
    from stackwright.locking.lockinputs import versions

    if resume is not None:
        folder = session.resume(resume, shop.label)
        progress.end(f"going on in {folder} (--fresh begins anew)")
    else:
        folder = session.start(shop.plan, versions(shop.plan, shop.site), shop.artefact, *asked)
        progress.end(f"running in {folder}")
    return folder


def _run(session: Session, folder: Path, label: str) -> Judgement:
    """Run what is left of a run, and judge it; after Ctrl-C say how to go on."""
    from stackwright.validation.execution import Interrupted

    runs = Runs(sys.stderr.isatty())
    try:
        return session.run(folder, runs.show)
    except Interrupted as error:
        go_on = f"stackwright validate '{label}' --resume {folder}"
        click.echo(f"\ninterrupted; to go on: {go_on}", err=True)
        raise click.Abort from error
    finally:
        runs.end()


def _next(judgement: Judgement, label: Label, required: str, folder: Path) -> str:
    """What follows from a judgement, for a label whose release requires a suite."""
    from stackwright.inputs.fields import PART
    from stackwright.report.headline import passes_only
    from stackwright.validation.suites import FOR_LOOKING

    suite = judgement.suite.name
    lines = [f"this was {FOR_LOOKING}"] if suite.startswith(PART) else []
    if judgement.verdict != "PASS":
        lines.append(f"see what happened: stackwright report '{label}'   (raw: {folder})")
    elif suite == required:
        lines.append(f"next: stackwright certify '{label}'")
    else:
        lines.append(passes_only(label.module, suite, label.system, required))
        lines.append(f"next: stackwright validate '{label}'")
    return "\n".join(lines)


class Runs:
    """One line that is rewritten on a terminal; elsewhere a line for each run that begins.

    Each look that did not decide has a line that stays.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self._started = time.monotonic()
        self._passed: dict[str, int] = {}

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event of the driver."""
        case, looks = event["case"], event["looks"]
        passed = bisect_right(looks, event["pair"])
        if passed > self._passed.get(case, 0):
            self._passed[case] = passed
            undecided = f"undecided after {looks[passed - 1]} pairs, going on to {looks[passed]}"
            click.echo(f"{self._clear}{case}: {undecided}", err=True)
        elapsed = time.monotonic() - self._started
        look = f", look {passed + 1} of {len(looks)}" if looks else ""
        text = (
            f"[{event['done']} runs, at most {event['most']}] {elapsed:5.0f} s  "
            f"{case} {event['arm']} #{event['pair']}{look}"
        )
        if self._live:
            click.echo(f"{self._clear}{text}", nl=False, err=True)
        elif event["event"] == "begin":
            click.echo(text, err=True)

    @property
    def _clear(self) -> str:
        return "\r\033[K" if self._live else ""

    def end(self) -> None:
        """Leave the line that was rewritten."""
        click.echo(self._clear, nl=False, err=True)
