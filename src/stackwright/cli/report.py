"""``stackwright report``: the page that a release reviewer reads."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from stackwright.cli.context import Context, pass_context


@click.command("report")
@click.argument("label")
@click.option(
    "--run",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The run's folder (else the label's last one).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.html, report.json and junit.xml (else the run's folder).",
)
@pass_context
def command(context: Context, label: str, run: Path | None, output: Path | None) -> None:
    """Write the validation report: HTML for people, JSON for tools, JUnit for pipelines.

    \b
    Examples:
      stackwright report pytorch
      stackwright report pytorch --run STORE/runs/20261120T194000Z-1f2e3d4c -o public/
    """
    from stackwright.cli.workshop import open_workshop
    from stackwright.report import render_html, render_json, render_junit
    from stackwright.report.gather import gather
    from stackwright.stages import latest_run
    from stackwright.store import write_atomic

    shop = open_workshop(context, label)
    folder = run.resolve() if run else latest_run(shop)
    data = gather(shop, folder, datetime.now(timezone.utc))
    target = output or folder
    for name, render in (
        ("report.html", render_html),
        ("report.json", render_json),
        ("junit.xml", render_junit),
    ):
        write_atomic(target / name, render(data).encode())
    click.echo(f"report: {target / 'report.html'}")
