"""``stackwright verify``: check a certificate, offline."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.certify.verify import Certificate
    from stackwright.release.state import Generation


@click.command("verify")
@click.argument("what", metavar="FILE-OR-LABEL")
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="A release key's public half; may be given more than once (else the site's or store's).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the statement as JSON.")
@pass_context
def command(context: Context, what: str, keys: tuple[Path, ...], as_json: bool) -> None:
    """Check a certificate.

    A LABEL is checked as a release would check it: signature, dates, every case of the suite,
    the evidence judged again, the very bytes in the store, and what users load. A FILE is checked
    by itself, with nothing but the public key: signature, form and dates. A key that the site here
    has revoked is refused.

    \b
    Examples:
      stackwright verify pytorch
      stackwright verify certificate.json --key release.pub
    """
    from stackwright.cli.verdicts import print_waivers

    now = datetime.now(timezone.utc)
    if _names_a_file(what):
        certificate, checked = _verify_file(context, Path(what), keys, now), "signature and dates"
        live = ""
    else:
        certificate, generation = _verify_label(context, what, keys, now)
        checked = "signature, dates, cases, evidence and bytes"
        live = _live(certificate, generation)
    predicate = certificate.statement.predicate
    if as_json:
        import json

        echo_json(json.loads(certificate.statement.to_json()))
        return
    click.echo(f"valid: {predicate.label}, {predicate.verdict}, {predicate.kind} ({checked})")
    for subject in certificate.statement.subject:
        click.echo(f"  {subject.name.rpartition(' ')[2]:<9} sha256:{subject.digest.sha256}")
    click.echo(f"  signed by {certificate.key_id[:16]}, valid until {predicate.expires}")
    if predicate.runtime:
        click.echo(f"  the image ran under {predicate.runtime}")
    if live:
        click.echo(f"  {live}")
        _warn(context, predicate.label)
    for job, verdict in sorted(predicate.earlier.items()):
        click.echo(f"  validated before: {job}: {verdict}")
    for run, count in sorted(predicate.interrupted.items()):
        click.echo(f"  interrupted: {run}, {count} x")
    print_waivers(predicate.waivers)


def _warn(context: Context, label: str) -> None:
    from stackwright.cli.strays import strays, warn
    from stackwright.inputs.labels import parse

    module, system = parse(label).module, parse(label).system
    warn(stray for stray in strays(context, system) if stray.module == module)


def _live(certificate: Certificate, generation: Generation | None) -> str:
    if generation is None:
        return "users do not load it"
    label = certificate.statement.label
    released = generation.pointers[label.partition("@")[0]].certificate
    if released == certificate.digest:
        return f"users load it: generation {generation.number}"
    other = released.removeprefix("sha256:")[:12]
    return (
        f"users load it: generation {generation.number}, by another certificate ({other});"
        f" to take this one: stackwright release '{label}'"
    )


def _names_a_file(what: str) -> bool:
    """Whether a file is meant, there or not: no label ends or begins so.

    A file that is named like a label doesn't count: it would be checked for less than the label.
    """
    return what.endswith(".json") or what.startswith((".", "/"))


def _verify_file(
    context: Context, path: Path, keys: tuple[Path, ...], now: datetime
) -> Certificate:
    from stackwright.certify.keys import TrustedKeys, named_keys
    from stackwright.certify.verify import check_dates, open_certificate

    envelope = _read_envelope(path)
    if keys:
        trusted = TrustedKeys(release=named_keys(keys, context.site_or_shipped.root / "keys"))
    else:
        trusted = context.trusted_keys(context.only_system())
    certificate = open_certificate(envelope, trusted)
    check_dates(certificate, now)
    return certificate


def _read_envelope(path: Path) -> bytes:
    from stackwright.certify import dsse
    from stackwright.certify.verify import read_certificate
    from stackwright.errors import StackwrightError

    hint = "name one of STORE/certificates, or a label: stackwright verify LABEL"
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise StackwrightError(f"the certificate {path} {what}", hint=hint)
    envelope = read_certificate(path)
    try:
        dsse.read(envelope, "it")
    except StackwrightError as error:
        what = f"{path} is not a certificate: {error.what}"
        raise StackwrightError(what, hint=hint, code=error.code) from error
    return envelope


def _verify_label(
    context: Context, label: str, keys: tuple[Path, ...], now: datetime
) -> tuple[Certificate, Generation | None]:
    from stackwright.cli.progress import Progress
    from stackwright.cli.workshop import open_workshop
    from stackwright.stages import check_live, newest_certificate, verify_label

    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        trusted = shop.trusted(keys)
        envelope = newest_certificate(shop, trusted)
        return verify_label(shop, envelope, keys=trusted, now=now), check_live(shop, trusted)
