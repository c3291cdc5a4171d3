"""``stackwright rollback``: go back to what was released before."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from stackwright.cli.context import Context, echo_json, pass_context


@click.command("rollback")
@click.argument("pattern", metavar="STACK[@SYSTEM]")
@click.option("-m", "--message", default="", help="Why, for the history.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, pattern: str, message: str, as_json: bool) -> None:
    """Take a stack back to what it was before its last release.

    A whole label means its stack: all versions of a stack go back together.

    The bytes must still be the certified ones; an expired certificate is a warning, not an
    obstacle (docs/decisions/0003-rollback.md). Repeat it to go back further.

    \b
    Examples:
      stackwright rollback pytorch
      stackwright rollback pytorch@perlmutter-cpu -m "hangs at 64 ranks"
    """
    from stackwright.cli.progress import Progress
    from stackwright.disputes import check_still_believed
    from stackwright.inputs.labels import parts
    from stackwright.release.rollback import rollback
    from stackwright.release.tags import tag_images
    from stackwright.stages import renderer
    from stackwright.tools.account import account
    from stackwright.tools.process import Runner
    from stackwright.workshop import measuring

    name, _, system = parts(pattern)
    system = system or context.only_system()
    store = context.store(system)
    site, runner = context.site, Runner(store.log)
    with Progress(color=context.color) as progress:
        outcome = rollback(
            store,
            name,
            system,
            keys=context.trusted_keys(system),
            measure=measuring(site, store, progress.stage),
            render=renderer(site, store),
            believed=lambda certificate: check_still_believed(store, certificate),
            who=account(),
            why=message,
            now=datetime.now(timezone.utc),
        )
        generation = outcome.generation
        with progress.stage("moving the container engine's tags"):
            tags = tag_images(store, generation, site.system(system).runtimes, runner)
    module = f"{name}/{generation.defaults[name]}"
    image = generation.pointers[module].image
    if as_json:
        echo_json(
            {
                "stack": name,
                "generation": generation.number,
                "restores": generation.restores,
                "default": generation.defaults[name],
                "module": module,
                "image": image,
            }
        )
        return
    click.echo(
        f"{name}@{system} is as it was in generation {generation.restores}"
        f" (now generation {generation.number})"
    )
    for warning in (*outcome.warnings, *filter(None, [tags.warning])):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"module:    {module} (default)")
    click.echo(f"image:     {image}")
