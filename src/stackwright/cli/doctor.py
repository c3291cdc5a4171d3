"""``stackwright doctor``: can this machine build and validate, and what would help if not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import ExitCode

if TYPE_CHECKING:
    from stackwright.checks import Check

_COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


@click.command("doctor")
@click.option("--system", help="System to check for; can be left out if the site has only one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, system: str | None, as_json: bool) -> int:
    """Check this machine: programs, container engines, Lmod, CPU, memory, disk.

    Container engines are tried for real, with one configuration after another; what works is
    remembered, and builds use it. Ends with 0 if nothing that is needed is missing, else with 1.

    \b
    Example:
      stackwright doctor --system local
    """
    from stackwright.checks import all_checks, read_programs
    from stackwright.cli.progress import Progress
    from stackwright.inputs.site import shipped_content
    from stackwright.store import Store
    from stackwright.tools.process import Runner

    chosen = context.site.system(system or context.only_system())
    store = Store(context.store(chosen.name))
    programs = read_programs(shipped_content() / "setup" / "debian-packages.txt")
    rows: list[Check] = []
    with Progress(color=context.color) as progress:
        progress.live(f"checking this machine for '{chosen.name}'")
        for row in all_checks(chosen, store, programs, Runner(store.log, progress.line)):
            rows.append(row)
    rows += _tags(context, chosen.name)
    healthy = all(row.status != "missing" for row in rows)
    if as_json:
        echo_json({"system": chosen.name, "ready": healthy, "checks": [asdict(r) for r in rows]})
    else:
        _print(context, rows)
        verdict = "this machine can" if healthy else "this machine cannot"
        click.echo(f"{verdict} build and validate for '{chosen.name}'")
    return ExitCode.OK if healthy else ExitCode.FAIL


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
