"""``stackwright mirror``: the sources of a label, for a machine without a network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from stackwright.cli.context import Context, pass_context


@click.command("mirror")
@click.argument("label")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the sources, beside what it holds; else they stay in the store.",
)
@click.option(
    "--from",
    "places",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PLACE",
    help="A folder of files and clones, or a list of URLs, a line each; may be repeated.",
)
@pass_context
def command(context: Context, label: str, target: Path | None, places: tuple[Path, ...]) -> None:
    """Fetch the sources of all that Spack's lock of a label names, each compared with its hash.

    What lies in PLACE is taken first, whatever it is called: files are known by their hashes, and
    clones by their commits. The rest is downloaded. A build takes them from there:
    STACKWRIGHT_SOURCES=DIR.

    \b
    Examples:
      stackwright mirror fftw@local --to /media/sources
      stackwright mirror fftw@local --from ~/tarballs --from setup/debian-sources.txt
      STACKWRIGHT_SOURCES=/media/sources stackwright build fftw@local
    """
    from stackwright.building.build import SOURCES, fetch_sources
    from stackwright.cli.build import show
    from stackwright.cli.progress import Progress, size
    from stackwright.plans.plan import resolve
    from stackwright.tools.process import Runner

    plan = resolve(context.site, context.pick(label))
    store = context.store(plan.system)
    named = [*map(str, places), *filter(None, [os.environ.get(SOURCES)])]
    with Progress(color=context.color) as progress:
        mirror = fetch_sources(
            plan,
            context.site,
            store,
            Runner(store.log, progress.line),
            places=":".join(named),
            on_progress=lambda event: show(event, progress),
        )
    if target is not None:
        shutil.copytree(mirror, target, symlinks=True, dirs_exist_ok=True)
        mirror = target.resolve()
    files = [path for path in mirror.rglob("*") if path.is_file() and not path.is_symlink()]
    count = sum(path.stat().st_size for path in files)
    click.echo(f"{len(files)} files, {size(count)}, in {mirror}")
    click.echo(f"next, where there is no network: export STACKWRIGHT_SOURCES={mirror}")
