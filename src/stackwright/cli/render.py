"""``stackwright render``: the plain files that build a label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, pass_context

if TYPE_CHECKING:
    from stackwright.plans.plan import Plan


def _environment(context: Context, plan: Plan, output: Path) -> None:
    """Write the environment that Spack makes from source; with its lock, if that fits."""
    from stackwright.building.providers.scripts import write_files
    from stackwright.spack.dialect import dialect_of
    from stackwright.spack.environment import FOLDER, rendered_for
    from stackwright.spack.locked import recipe_files, spack_lock_of, stale
    from stackwright.tools.spack import PACKAGES

    found = spack_lock_of(plan, context.site)
    if found and stale(found, plan, None, context.site):
        click.echo(f"warning: Spack's lock is stale, and left out: lock '{plan.label}'", err=True)
        found = None
    files = recipe_files(plan, found, None, context.site)
    write_files(files, output)
    todo = "install" if found else "concretize"
    series = dialect_of(found.spack.version) if found else rendered_for(plan)
    packages = f'SPACK_PACKAGES="${PACKAGES}" ' * series.packages_apart
    alone = f'SPACK_DISABLE_LOCAL_CONFIG=1 {packages}OUT="$PWD/work"'
    by_hand = f"{alone} spack -e {output / FOLDER} {todo}"
    click.echo(f"{len(files)} files in {output}; next: {by_hand}")


def _buildable(context: Context, plan: Plan) -> bool:
    """Whether the system says in which image it is made, and the locks of that are there."""
    return bool(plan.toolchain) and context.site.lock_file(plan.label).is_file()


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
    if plan.from_source and not _buildable(context, plan):
        _environment(context, plan, output)
        return
    recipe = render(plan, locked(plan, context.site), context.site)
    write_recipe(recipe, output)
    click.echo(f"{len(recipe.files)} files in {output}; next: sh {output}/build.sh")
