"""``stackwright lint``: will an image run under Shifter as it does in a container engine?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import ExitCode

if TYPE_CHECKING:
    from stackwright.shifter.lint import Finding

RULES = tuple(f"SH{number:02}" for number in range(1, 18))


@click.command("lint")
@click.argument("label")
@click.option("--released", "of_release", is_flag=True, help="What users have; else what is built.")
@click.option(
    "--rule",
    "rules",
    type=click.Choice(RULES),
    multiple=True,
    help="This one only; again for each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(
    context: Context, label: str, of_release: bool, rules: tuple[str, ...], as_json: bool
) -> int:
    """Test a label's image against the rules SH01 to SH17: what Shifter drops, hides or refuses.

    An error is something that breaks; a note is something that is lost without harm. Each says
    what to change in the stack. The image is what was built last: find out before it is validated.

    Ends with 0 without errors, else with 1.

    \b
    Examples:
      stackwright lint pytorch
      stackwright lint pytorch --released --rule SH05 --rule SH16
    """
    from stackwright.cli.progress import Progress
    from stackwright.cli.workshop import open_workshop, released
    from stackwright.shifter.flaws import several
    from stackwright.shifter.lint import errors, lint_artefact

    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        hint = f"for what was built: stackwright lint '{shop.label}'"
        artefact = released(shop, hint)[0] if of_release else shop.artefact
        with shop.stage(f"reading the image of {shop.label}"):
            findings = lint_artefact(shop, artefact, rules)
    broken = errors(findings)
    if as_json:
        echo_json(
            {
                "label": str(shop.label),
                "image": artefact.image.digest,
                "rules": list(rules or RULES),
                "clean": not broken,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        show(context, findings)
        asked = " ".join(rules) if rules else "SH01 to SH17"
        notes = len(findings) - len(broken)
        counts = f"{several(len(broken), 'error')}, {several(notes, 'note')}"
        click.echo(f"{shop.label}: {counts if findings else 'clean'} by {asked}")
    return ExitCode.FAIL if broken else ExitCode.OK


def show(context: Context, findings: Sequence[Finding]) -> None:
    """Print findings as a table."""
    from rich.table import Table
    from rich.text import Text

    if not findings:
        return
    table = Table("rule", "", "where", "what", "change in the stack", box=None, pad_edge=False)
    for each in findings:
        severity = Text(each.severity, style="red" if each.severity == "error" else "")
        table.add_row(each.rule, severity, *map(Text, (each.where, each.what, each.fix)))
    context.show(table)
