"""``stackwright release``: move image, module and kernel to certified bytes."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import click

from stackwright.cli.context import Context, echo_json, pass_context


@click.command("release")
@click.argument("label")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="The certificate (else the newest one for this label in the store).",
)
@click.option("-m", "--message", default="", help="Why, for the history.")
@click.option(
    "--default/--no-default",
    default=None,
    help="Make it the stack's default or leave that as it is (else it becomes the default if it was"
    " compared with what is, or is the first).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context,
    label: str,
    certificate: Path | None,
    message: str,
    default: bool | None,
    as_json: bool,
) -> None:
    """Release a certified label: image, module and kernel move together, in one rename.

    Refused, with the reason, unless a valid certificate names these very bytes on this system:
    every case of the suite passed or waived, the evidence judged again and disputed by no later
    run, the comparison made with what was released before it.

    \b
    Examples:
      stackwright release pytorch
      stackwright release pytorch -m "new oneDNN" --no-default
    """
    from stackwright.certify.verify import open_certificate, read_certificate
    from stackwright.cli.progress import Progress
    from stackwright.cli.verdicts import print_waivers
    from stackwright.cli.workshop import open_workshop
    from stackwright.release.tags import tag_images
    from stackwright.runtimes.here import own_folder
    from stackwright.stages import newest_certificate, release_label

    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        keys = shop.trusted()
        envelope = read_certificate(certificate) if certificate else newest_certificate(shop, keys)
        outcome = release_label(
            shop,
            envelope,
            keys=keys,
            now=datetime.now(timezone.utc),
            why=message,
            make_default=default,
        )
        with shop.stage("moving the container engine's tags"):
            tags = tag_images(
                shop.store,
                outcome.generation,
                shop.site.system(shop.label.system).runtimes,
                shop.runner(),
            )
    predicate = open_certificate(envelope, keys).statement.predicate
    waivers, validated = predicate.waivers, predicate.runtime
    live, module = shop.store.root / "live", shop.label.module
    number = outcome.generation.number
    if as_json:
        echo_json(
            {
                "label": str(shop.label),
                "generation": number,
                "changed": outcome.changed,
                "runtime": validated,
                "waivers": [waiver.model_dump() for waiver in waivers],
                "modules": str(live / "modules"),
                "image": str(live / "images" / module / "oci"),
                "squashfs": str(live / "images" / module / "image.squashfs"),
                "environment": str(live / "images" / module / "environment"),
                "tag": tags.names.get(module),
                "engine": tags.engine,
                "engine_env": dict(tags.env),
                "jupyter": str(live / "jupyter"),
                "kernel": f"{shop.label.stack}-{shop.label.release}" if shop.plan.kernel else None,
            }
        )
        return
    if outcome.changed:
        click.echo(f"released {shop.label} (generation {number})")
    else:
        click.echo(f"{shop.label} is released already (generation {number}); nothing moved")
    print_waivers(waivers)
    notes = [tags.warning, untried(tags.engine, validated)]
    for warning in (*outcome.warnings, *filter(None, notes)):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"module:    module use {live}/modules && module load {module}")
    image = live / "images" / module
    if module in tags.names:
        env = "".join(f"{name}={value} " for name, value in sorted(tags.env.items()))
        run = f"{env}{tags.engine} run --rm -it --network=host"
        click.echo(f"image:     {run} {tags.names[module]}")
        if tags.engine == "podman":  # its tags are this account's own
            others = (
                f"{run} oci:{image}/oci:image   (any account of this machine)"
                if podman_reads(image)
                else "not by podman, which reads no image under this path (docs/scientist.md)"
            )
            click.echo(f"others:    {others}")
    click.echo(
        f"squashfs:  ch-run --mount={own_folder(shop.store)} --unset-env='*' --env-no-expand"
        f" --set-env={image}/environment"
        f" {image}/image.squashfs -- python"
        + ("" if validated in (None, "charliecloud") else f"   (validated under {validated} only)")
    )
    if shop.plan.kernel:
        click.echo(f"kernel:    export JUPYTER_PATH={live}/jupyter")


def untried(engine: str, validated: str | None) -> str:
    """The warning that the engine that users are told of is not the run time that was validated."""
    if not engine or validated in (None, engine):
        return ""
    return f"the image was validated under {validated}, not under {engine}, for which lines follow"


def podman_reads(layout: Path) -> bool:
    """Whether podman runs an image by its folder, whose path it takes for an image's name.

    A name's parts, by the OCI distribution specification, are small letters and digits with single
    separators inside: no part may begin with a dot.
    """
    part = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
    return all(map(part.fullmatch, layout.parts[1:]))
