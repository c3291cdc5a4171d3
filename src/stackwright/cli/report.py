"""``stackwright report``: the page that a release reviewer reads."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from stackwright.cli.context import Context, echo_json, pass_context


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
@click.option("--json", "as_json", is_flag=True, help="Print the verdict and the paths as JSON.")
@pass_context
def command(
    context: Context, label: str, run: Path | None, output: Path | None, as_json: bool
) -> None:
    """Write the validation report: HTML for people, JSON for tools, JUnit for pipelines.

    \b
    Examples:
      stackwright report pytorch
      stackwright report pytorch --run STORE/runs/20261120T194000Z-1f2e3d4c -o public/
      stackwright report pytorch --json
    """
    from stackwright.cli.runfolder import JUDGED, check_ended, check_run
    from stackwright.cli.workshop import open_workshop
    from stackwright.report import render_html, render_json, render_junit
    from stackwright.report.gather import gather
    from stackwright.stages import latest_run
    from stackwright.store import write_atomic

    shop = open_workshop(context, label)
    if run:
        check_ended(run, str(shop.label))
        hint = f"the label's last run: stackwright report '{shop.label}'"
        check_run(run, JUDGED, hint=hint)
    now = datetime.now(timezone.utc)
    folder = run.resolve() if run else latest_run(shop, by=now)
    data = gather(shop, folder, now)
    target = output or folder
    written = {
        "html": (target / "report.html", render_html),
        "json": (target / "report.json", render_json),
        "junit": (target / "junit.xml", render_junit),
    }
    for path, render in written.values():
        write_atomic(path, render(data).encode())
    if as_json:
        paths = {kind: str(path) for kind, (path, _) in written.items()}
        echo_json({"label": str(shop.label), "verdict": data.judgement["verdict"], **paths})
        return
    click.echo(f"report: {target / 'report.html'}")
