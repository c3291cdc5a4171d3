"""``stackwright render``: the plain files that build a label."""

from __future__ import annotations

from pathlib import Path

import click

from stackwright.cli.context import Context, pass_context


@click.command("render")
@click.argument("label")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files; made if it isn't there.",
)
@pass_context
def command(context: Context, label: str, output: Path) -> None:
    """Write a label's recipe: scripts and settings that build it, with or without Stackwright.

    The same plan and lock give the same bytes. README.md among them says how to run them by hand.

    \b
    Example:
      stackwright render pytorch/2.13.0-cpu@local -o recipe && sh recipe/build.sh
    """
    from stackwright.building.recipe import render, write_recipe
    from stackwright.locking.lockinputs import locked
    from stackwright.plans.plan import resolve

    plan = resolve(context.site, context.pick(label))
    recipe = render(plan, locked(plan, context.site), context.site)
    write_recipe(recipe, output)
    click.echo(f"{len(recipe.files)} files in {output}; next: sh {output}/build.sh")
