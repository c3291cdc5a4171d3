"""``stackwright keys``: make the keys that sign results and certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from pathlib import Path


@click.group("keys")
def command() -> None:
    """Make and list keys.

    The builder's key signs what was measured; it is made on first use. The release key signs
    certificates: make it where releases are decided, and keep it from builders and CI.

    \b
    Examples:
      stackwright keys create release
      stackwright keys list
    """


@command.command("create")
@click.argument("name", type=click.Choice(["release", "builder"]))
@click.option("--system", help="The system whose store holds the key (else the only one).")
@pass_context
def create(context: Context, name: str, system: str | None) -> None:
    """Make a key pair in the store; a key that is there is never overwritten.

    \b
    Examples:
      stackwright keys create release
      stackwright keys create release --system perlmutter-cpu
    """
    from stackwright.certify.keys import create_pair

    folder = _folder(context, system)
    pair = create_pair(folder, name)
    click.echo(f"made {folder / name}.key and .pub, id {pair.public.id[:16]}")
    if name == "release":
        click.echo("next: give release.pub to all who verify; keep release.key to yourself")


@command.command("list")
@click.option("--system", help="The system whose store holds the keys (else the only one).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def list_(context: Context, system: str | None, as_json: bool) -> None:
    """List the public keys that count: those in the site's keys/, else the store's.

    \b
    Examples:
      stackwright keys list
      stackwright keys list --system perlmutter-cpu --json
    """
    keys = context.trusted_keys(system or context.only_system())
    rows = [("release", key.id) for key in keys.release]
    rows += [("builder", key.id) for key in keys.builder]
    if as_json:
        echo_json([{"role": role, "id": key} for role, key in rows])
        return
    if not rows:
        click.echo("there are no keys yet; next: stackwright keys create release", err=True)
    for role, key in rows:
        click.echo(f"{role:<8} {key}")


def _folder(context: Context, system: str | None) -> Path:
    return context.store(system or context.only_system()).root / "keys"
