"""Validation in a job: submitted, followed, and judged here by what it signed."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from stackwright.batch.slurmjobs import SlurmJobs, State
    from stackwright.validation.judgement import Judgement
    from stackwright.validation.session import Session
    from stackwright.workshop import Workshop

Command = TypeVar("Command", bound=Callable[..., Any])


def job_options(command: Command) -> Command:
    """What is said of a job that is submitted: --time, --partition and --set."""
    options = (
        click.option("--time", "limit", metavar="MINUTES|H:MM:SS", help="The job's time limit."),
        click.option("--partition", metavar="NAME", help="Partition or queue (else the system's)."),
        click.option(
            "--set",
            "given",
            metavar="NAME=VALUE",
            multiple=True,
            help="What the system asks its users for, such as account=m1234; again for each.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_CANCEL_S = 60.0
_SEEN_S = 10.0
"""Within which a file that a node has written is there for others, as on NFS."""


@dataclass(frozen=True)
class Asked:
    """What was typed of a validation in a job."""

    suite: str | None
    runtime: str | None
    nodes: int
    limit: str | None
    partition: str | None
    given: tuple[str, ...]
    fresh: bool
    cases: tuple[str, ...] = ()


def validated(shop: Workshop, session: Session, asked: Asked) -> tuple[Path, Judgement]:
    """Submit a job that validates a label, follow it, and judge what it left.

    Returns:
        The folder of the run, and its judgement.

    Raises:
        StackwrightError: the suite or the run time can't be had, the system has no Slurm, Slurm
            refuses the job, or would never start it, or it ends without a verdict.
        click.Abort: Ctrl-C; the job is cancelled.
    """
    from stackwright.batch.follow import follow
    from stackwright.batch.slurmjobs import LOST, SlurmJobs
    from stackwright.batch.validation import LOG
    from stackwright.errors import ExitCode, StackwrightError
    from stackwright.tools.process import Runner

    session.check_over_nodes(shop.label.system, asked.suite or shop.suite)
    folder, script = _written(shop, asked)
    jobs = SlurmJobs(shop.runner(), Runner())
    job = jobs.submit(script, str(script))
    click.echo(f"job {job} in {folder}", err=True)
    try:
        state = follow(jobs, job, folder / LOG, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt as error:
        _cancel(jobs, job)
        click.echo(f"\njob {job} is cancelled; to go on: {_again(shop, asked)}", err=True)
        raise click.Abort from error
    if state.name == LOST:
        jobs.cancel(job)  # else it would hold its other nodes until its time is over
    if state.hopeless:
        _cancel(jobs, job)
        raise StackwrightError(
            f"job {job} would never have started, and is cancelled: {state}",
            hint=state.stuck,
            code=ExitCode.INVALID,
        )
    return _judged(shop, session, asked, folder, job, state)


def minutes(text: str) -> int:
    """A time limit in minutes, rounded up, from minutes or `H:MM:SS`.

    Raises:
        StackwrightError: it is none; nor is `1:30`, which is minutes to Slurm and hours to LSF.
    """
    from stackwright.errors import StackwrightError

    total = int(text) if re.fullmatch(r"\d{1,5}", text) else 0
    if match := re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text):
        total = 60 * int(match[1]) + int(match[2]) + (match[3] != "00")
    if total < 1:
        raise StackwrightError(f"'{text}' is no time limit", hint="minutes, or H:MM:SS")
    return total


def settings(given: Sequence[str]) -> dict[str, str]:
    """The values of `--set NAME=VALUE`.

    Raises:
        StackwrightError: one has no name.
    """
    from stackwright.errors import StackwrightError

    pairs = [text.partition("=") for text in given]
    for name, sign, value in pairs:
        if not (name and sign):
            raise StackwrightError(
                f"--set {name}{sign}{value}: it is not NAME=VALUE",
                hint=f"--set {name or 'account'}=VALUE",
            )
    return {name: value for name, _, value in pairs}


def _written(shop: Workshop, asked: Asked) -> tuple[Path, Path]:
    """The folder of a new job, and the script in it."""
    from stackwright.batch.request import check_filled
    from stackwright.batch.slurm import SLURM
    from stackwright.batch.validation import SCRIPT, resources, script
    from stackwright.errors import StackwrightError

    system = shop.site.system(shop.label.system)
    if system.scheduler != "slurm":
        raise StackwrightError(
            f"the scheduler of '{system.name}' is {system.scheduler}, not Slurm",
            hint=f"write `scheduler: slurm` into systems/{system.name}.yaml",
        )
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folder = shop.store.root / "batch" / f"{stamp}-{secrets.token_hex(4)}"
    limit = minutes(asked.limit) if asked.limit else None
    name = f"validate-{shop.label.stack}"
    job = resources(
        system, name, folder, asked.nodes, limit, asked.partition, settings(asked.given)
    )
    check_filled(SLURM, job, system.name)
    text = script(job, _inside(shop, asked), folder)
    folder.mkdir(parents=True)
    path = folder / SCRIPT
    path.write_text(text)
    return folder, path


def _inside(shop: Workshop, asked: Asked) -> list[str]:
    """What the job runs, on its first node."""
    return [
        *(sys.executable, "-m", "stackwright"),
        *("--site", str(shop.site.root.absolute()), "--store", str(shop.store.root.absolute())),
        *("validate", str(shop.label), "--launcher", "srun", f"--nodes={asked.nodes}"),
        *([f"--suite={asked.suite}"] if asked.suite else ()),
        *(f"--case={case}" for case in asked.cases),
        *([f"--runtime={asked.runtime}"] if asked.runtime else ()),
        *(["--fresh"] if asked.fresh else ()),
        "--json",
    ]


def _again(shop: Workshop, asked: Asked) -> str:
    """The command that goes on."""
    options = [
        *("--launcher", "slurm", "-N", f"{asked.nodes}"),
        *(["--suite", asked.suite] if asked.suite else ()),
        *(word for case in asked.cases for word in ("--case", case)),
        *(["--runtime", asked.runtime] if asked.runtime else ()),
        *(["--time", asked.limit] if asked.limit else ()),
        *(["--partition", asked.partition] if asked.partition else ()),
        *(word for text in asked.given for word in ("--set", text)),
    ]
    return shlex.join(["stackwright", "validate", str(shop.label), *options])


def _cancel(jobs: SlurmJobs, job: str) -> None:
    """Cancel a job, and wait until it has ended; a second Ctrl-C doesn't wait."""
    jobs.cancel(job)
    deadline = time.monotonic() + _CANCEL_S
    with suppress(KeyboardInterrupt):
        while time.monotonic() < deadline:
            state = jobs.state(job)
            if state is not None and state.ended:
                return
            time.sleep(0.5)


def _judged(
    shop: Workshop, session: Session, asked: Asked, folder: Path, job: str, state: State
) -> tuple[Path, Judgement]:
    """The run of a job that has ended, judged anew by what is signed in the store."""
    from stackwright.batch.validation import LOG, VERDICT
    from stackwright.errors import ExitCode, Location, StackwrightError

    data = _read(folder / VERDICT, wait=state.name == "COMPLETED")
    if not data:
        raise StackwrightError(
            f"job {job} ended as {state} without a verdict (exit code {state.code})",
            where=Location(folder / LOG),
            hint=f"to go on: {_again(shop, asked)}",
            code=ExitCode.INVALID,
        )
    run = shop.store.root / "runs" / Path(json.loads(data)["job_id"]).name
    return run, session.judged(run, shop.label)


def _read(path: Path, *, wait: bool) -> bytes:
    """What a job wrote; empty where it wrote nothing."""
    deadline = time.monotonic() + (_SEEN_S if wait else 0)
    while True:
        data = path.read_bytes() if path.exists() else b""
        if data or time.monotonic() >= deadline:
            return data
        time.sleep(0.5)
