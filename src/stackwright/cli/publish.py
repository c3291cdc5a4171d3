"""``stackwright publish``: bring what is released to where another program serves it from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.certify.artefact import Artefact
    from stackwright.cli.progress import Progress
    from stackwright.shifter.publish import Published
    from stackwright.workshop import Workshop


@click.command("publish")
@click.argument("label")
@click.option("--to", type=click.Choice(["shifter"]), required=True, help="What serves it.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that Shifter takes images from: imagePath of its udiRoot.conf.",
)
@click.option(
    "--gateway",
    "name",
    metavar="REGISTRY/NAME",
    help="Push to this name of a registry, and have Shifter's gateway pull from there.",
)
@click.option(
    "--as",
    "known_as",
    metavar="NAME",
    help="What the gateway calls REGISTRY/NAME: without the registry if that is its default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context,
    label: str,
    to: str,  # noqa: ARG001 - there is one so far
    folder: Path | None,
    name: str | None,
    known_as: str | None,
    as_json: bool,
) -> None:
    """Publish a released label to Shifter: into its folder of images, or by its gateway.

    Only what is released, whose certificate and bytes hold, and in which `stackwright lint` finds
    no error. To publish again what is there changes nothing.

    \b
    Examples:
      stackwright publish pytorch --to shifter --dir /global/shifter/images
      stackwright publish pytorch --to shifter --gateway registry.example.org/stacks/pytorch
    """
    from stackwright.cli.progress import Progress
    from stackwright.cli.workshop import open_workshop, released
    from stackwright.errors import StackwrightError
    from stackwright.release.measure import check_bytes
    from stackwright.stages import check_in_force
    from stackwright.tools.registry import REFERENCE

    if (folder is None) == (name is None):
        raise click.UsageError("name either --dir or --gateway")
    if known_as and name is None:
        raise click.UsageError("--as goes with --gateway")
    if name and not REFERENCE.fullmatch(name):
        hint = "as in registry.example.org/stacks/pytorch"
        raise StackwrightError(f"'{name}' is not REGISTRY/NAME", hint=hint)
    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        hint = f"what was not released is not published: stackwright release '{shop.label}'"
        artefact, certificate = released(shop, hint)
        check_in_force(shop, certificate, datetime.now(timezone.utc))
        _check_lint(shop, artefact)
        check_bytes(artefact, shop.measure)
        if folder is not None:
            done = _to_folder(shop, artefact, folder)
        else:
            done = _to_gateway(shop, artefact, str(name), known_as, progress)
    if as_json:
        echo_json({"label": str(shop.label), **asdict(done)})
        return
    what = f"published {shop.label}" if done.changed else f"{shop.label} is there already"
    click.echo(f"{what}: {', '.join(done.places)}")
    click.echo(f"by hand:   shifter --image={done.image} -- python")
    click.echo(f"in a job:  #SBATCH --image={done.image}")


def _check_lint(shop: Workshop, artefact: Artefact) -> None:
    from stackwright.errors import ExitCode, StackwrightError
    from stackwright.shifter.lint import errors, lint_artefact

    with shop.stage(f"reading the image of {shop.label}"):
        found = errors(lint_artefact(shop, artefact))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise StackwrightError(
            f"{shop.label} would not run under Shifter as it was validated:"
            f" {found[0].rule}, {found[0].where}: {found[0].what}{more}",
            hint=f"stackwright lint '{shop.label}' --released says what to change",
            code=ExitCode.FAIL,
        )


def _to_folder(shop: Workshop, artefact: Artefact, folder: Path) -> Published:
    from stackwright.release.measure import counter
    from stackwright.shifter.publish import to_folder

    with shop.stage(f"copying the squashfs of {shop.label}") as on_part:
        on_bytes = counter("squashfs", artefact.squashfs.bytes, on_part)
        return to_folder(artefact, shop.store, folder.absolute(), on_bytes)


def _to_gateway(
    shop: Workshop, artefact: Artefact, name: str, known_as: str | None, progress: Progress
) -> Published:
    from stackwright.shifter.publish import to_gateway

    tag = shop.label.release
    with shop.stage(f"pushing {shop.label} to {name}:{tag}"):
        return to_gateway(
            artefact,
            shop.store,
            f"{name}:{tag}",
            f"{known_as or name}:{tag}",
            shop.runner(progress.line),
        )
