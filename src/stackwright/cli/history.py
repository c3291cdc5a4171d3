"""``stackwright history``: what was released, when, by whom and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.release.state import Generation


@click.command("history")
@click.argument("stack", metavar="[STACK][@SYSTEM]", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, stack: str, as_json: bool) -> None:
    """List releases and rollbacks, the newest first; of each stack, the last one is live.

    Bytes that were validated again have the same label under another certificate, whose file is
    STORE/certificates/<certificate>*.json.

    \b
    Examples:
      stackwright history
      stackwright history pytorch@local --json
    """
    from rich.table import Table

    from stackwright.release.generations import read_history

    name, _, system = stack.partition("@")
    store = context.store(system or context.only_system())
    found = [g for g in read_history(store) if name in ("", g.stack)][::-1]
    if as_json:
        echo_json([generation.model_dump(mode="json", by_alias=True) for generation in found])
        return
    if not found:
        what = f"{name} was never released here" if name else "nothing was released here yet"
        click.echo(f"{what}; next: stackwright release {stack if name else 'LABEL'}", err=True)
        return
    newest = {generation.stack: generation.number for generation in reversed(found)}
    table = Table(box=None, pad_edge=False)
    for column in (
        "",
        "generation",
        "when",
        "action",
        "label",
        "default",
        "certificate",
        "who",
        "why",
    ):
        table.add_column(column)
    for generation in found:
        table.add_row(
            "live" if generation.number == newest[generation.stack] else "",
            str(generation.number),
            generation.created,
            generation.action,
            generation.label,
            generation.defaults.get(generation.stack, ""),
            _certificate(generation),
            generation.who,
            generation.why,
        )
    context.show(table)


def _certificate(generation: Generation) -> str:
    """The start of the name of the certificate's file, by which a generation came about."""
    module = generation.label.partition("@")[0]
    return generation.pointers[module].certificate.removeprefix("sha256:")[:12]
