"""``stackwright doctor``: can this machine build and validate, and what would help if not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import ExitCode

if TYPE_CHECKING:
    from stackwright.checks import Check

_COLOURS = {"ok": "green", "warning": "yellow", "differs": "red", "missing": "red"}


@click.command("doctor")
@click.option("--system", help="System to check for (else the one that this machine belongs to).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, system: str | None, as_json: bool) -> int:
    """Check this machine: whether it is what the system's file states, and has what builds need.

    Of the file are compared: CPU target, cores, memory, glibc, GPUs and their driver, MPI, fabric,
    limits, file systems, modules, run times, scheduler and its partition, files to be injected.
    Container engines are tried for real, with one configuration after another; what works is
    remembered, and builds use it.

    \b
    ok       as it should be
    warning  one can do without it
    differs  the file states something else
    missing  nothing can be built without it

    Ends with 0 if nothing differs or is missing, else with 1.

    \b
    Example:
      stackwright doctor --system local
    """
    from stackwright.checks import all_checks, read_programs
    from stackwright.cli.progress import Progress
    from stackwright.inputs.site import shipped_content
    from stackwright.tools.process import Runner

    chosen = context.site.system(system or context.only_system())
    store = context.store(chosen.name)
    programs = read_programs(shipped_content() / "setup" / "debian-packages.txt")
    rows: list[Check] = []
    with Progress(color=context.color) as progress:
        progress.live(f"checking this machine for '{chosen.name}'")
        injections = context.site.injections(chosen.name)
        runner = Runner(store.log, progress.line)
        for row in all_checks(chosen, injections, store, programs, runner):
            rows.append(row)
    rows += _tags(context, chosen.name)
    worst = {row.status for row in rows} & {"differs", "missing"}
    if as_json:
        echo_json({"system": chosen.name, "ready": not worst, "checks": [asdict(r) for r in rows]})
    else:
        _print(context, rows)
        click.echo(_verdict(rows, chosen.name))
    return ExitCode.FAIL if worst else ExitCode.OK


def _verdict(rows: Sequence[Check], system: str) -> str:
    """The table in one line."""
    lost, unlike = (
        ", ".join(row.name for row in rows if row.status == status)
        for status in ("missing", "differs")
    )
    if lost:
        return f"this machine cannot build and validate for '{system}': see {lost}"
    if unlike:
        return f"this machine can build for '{system}', but is not as its file states: see {unlike}"
    return f"this machine can build and validate for '{system}'"


def _tags(context: Context, system: str) -> Iterator[Check]:
    """A row for each tag that is not the image that is released in the store."""
    from stackwright.checks import Check
    from stackwright.cli.strays import strays

    for stray in strays(context, system):
        yield Check("what users get", "warning", str(stray), stray.mend)


def _print(context: Context, rows: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for row in rows:
        table.add_row(Text(row.status, style=_COLOURS[row.status]), row.name, row.found, row.advice)
    context.show(table)
