"""``stackwright schema``: JSON Schemas of the site's files, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.inputs.schemas import MODELS, schema_text


@click.command("schema")
@click.argument("kind", type=click.Choice(list(MODELS)), required=False)
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write every schema to a folder.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Compare every schema with its copy in a folder.",
)
def command(kind: str | None, write: Path | None, check: Path | None) -> None:
    """Print the JSON Schema of a kind of file, or write or check all of them.

    \b
    Examples:
      stackwright schema stack
      stackwright schema --write docs/schemas
      stackwright schema --check docs/schemas
    """
    if [kind, write, check].count(None) != 2:  # noqa: PLR2004 - one of the three
        raise click.UsageError("name one kind of file, or give --write DIR, or --check DIR")
    if kind:
        click.echo(schema_text(kind), nl=False)
    elif write:
        write.mkdir(parents=True, exist_ok=True)
        for name in MODELS:
            (write / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
    elif check:
        _check(check)


def _check(folder: Path) -> None:
    errors: list[StackwrightError] = []
    for name in MODELS:
        copy = folder / f"{name}.json"
        if not copy.is_file() or copy.read_text(encoding="utf-8") != schema_text(name):
            hint = f"stackwright schema --write {folder}"
            what = f"{copy} is not the schema of this version"
            errors.append(StackwrightError(what, hint=hint, code=ExitCode.FAIL))
    if errors:
        raise ManyErrors(errors)
    click.echo(f"{len(MODELS)} schemas are up to date")
