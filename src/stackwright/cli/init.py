"""``stackwright init``: a centre's own copy of the content."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Make a site: your own copy of the stacks, systems, templates and suites, to edit.

    DIRECTORY must not exist yet, or be empty.

    \b
    Example:
      stackwright init mysite && cd mysite && stackwright list
    """
    from stackwright.inputs.newsite import init_site

    init_site(directory)
    click.echo(f"made the site {directory}; next: cd {directory} && stackwright list")
