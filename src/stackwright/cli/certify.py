"""``stackwright certify``: sign what a validation found out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import click

from stackwright.cli.context import Context, echo_json, pass_context

VALID_DAYS = 180


@click.command("certify")
@click.argument("label")
@click.option("--suite", help="The suite that was run (else the one that the stack requires).")
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=VALID_DAYS,
    show_default=True,
    help="How long the certificate is valid.",
)
@click.option("--key", type=click.Path(path_type=Path), help="The release key (else the store's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context, label: str, suite: str | None, days: int, key: Path | None, as_json: bool
) -> None:
    """Certify a label by its last validation: the bytes, the system, every verdict.

    The results must carry the builder's signature and are judged again; every case must have
    passed, or be waived by name in validation/waivers.yaml with a reason and a date.

    \b
    Examples:
      stackwright certify pytorch
      stackwright certify pytorch --days 30 --key /secure/release.key
    """
    from stackwright.certify.keys import RELEASE
    from stackwright.certify.verify import open_certificate, read_certificate
    from stackwright.cli.progress import Progress
    from stackwright.cli.verdicts import print_waivers, warn_of_waivers
    from stackwright.cli.workshop import open_workshop
    from stackwright.stages import certify

    warn_of_waivers(context.site)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        path = certify(
            shop,
            suite or shop.suite,
            key or shop.keys / f"{RELEASE}.key",
            issued=now,
            expires=now + timedelta(days=days),
        )
    certificate = open_certificate(read_certificate(path), shop.trusted())
    waivers = certificate.statement.predicate.waivers
    if as_json:
        echo_json(
            {
                "label": str(shop.label),
                "certificate": str(path),
                "days": days,
                "waivers": [waiver.model_dump() for waiver in waivers],
            }
        )
        return
    click.echo(f"certified {shop.label} until {now + timedelta(days=days):%Y-%m-%d}: {path}")
    print_waivers(waivers)
    click.echo(f"next: stackwright release '{shop.label}'")
