"""How commands show verdicts: a table for people, an exit code for scripts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from stackwright.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackwright.certify.acceptance import Waiver
    from stackwright.cli.context import Context
    from stackwright.inputs.site import Site
    from stackwright.validation.judgement import CaseJudgement, Judgement

_CODES = {
    "PASS": ExitCode.OK,
    "WAIVED": ExitCode.OK,
    "FAIL": ExitCode.FAIL,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
}
_REASONS = 3
_COLOURS = {"PASS": "green", "WAIVED": "yellow", "INCONCLUSIVE": "yellow"}


def exit_code(verdict: str) -> int:
    """The exit code of a command that ends with this verdict (docs/cli.md)."""
    return _CODES.get(verdict, ExitCode.INVALID)


def print_judgement(context: Context, judgement: Judgement) -> None:
    """A row per case, the figures below it, and the verdict last."""
    from rich.table import Table

    from stackwright.report.text import printable

    table = Table(box=None, pad_edge=False)
    for column in ("case", "verdict", "runs", "seconds", "what was found"):
        table.add_column(column, overflow="fold")
    for case in judgement.cases:
        colour = _COLOURS.get(case.verdict, "red")
        table.add_row(
            case.id,
            f"[{colour}]{case.verdict}[/]",
            str(case.runs),
            f"{case.seconds:.1f}",
            _found(case),
        )
    context.show(table)
    for reason in judgement.reasons:
        click.echo(f"reason: {printable(reason)}")
    click.echo(f"\n{judgement.verdict} {judgement.label} ({_comparison(judgement)})")


def warn_of_waivers(site: Site) -> None:
    """Warn of waivers that count for nothing."""
    from stackwright.waivers import doubtful

    for line in doubtful(site, datetime.now(timezone.utc).date()):
        click.echo(f"warning: {line}", err=True)


def print_waivers(waivers: Iterable[Waiver]) -> None:
    """What a certificate lets through although it did not pass, a line each."""
    for waiver in waivers:
        click.echo(f"  waived: {waiver.case} until {waiver.expires}: {waiver.reason}")


def _comparison(judgement: Judgement) -> str:
    if not any(case.metrics for case in judgement.cases):
        return "no performance was measured"
    if judgement.kind == "BASELINE":
        return "nothing to compare with: nothing is released, or these very bytes"
    return "compared"


def _found(case: CaseJudgement) -> str:
    from rich.markup import escape

    from stackwright.report.text import printable

    if case.reasons:  # what the stack under test wrote must not steer the terminal
        more = len(case.reasons[_REASONS:])
        shown = [*case.reasons[:_REASONS], *[f"and {more} more"][:more]]
        return escape(printable("; ".join(shown)))
    if not case.metrics:
        return "1 check holds" if len(case.checks) == 1 else f"{len(case.checks)} checks hold"
    parts = []
    for metric in case.metrics:
        text = metric.name
        if metric.relative is not None:
            text += f" {metric.relative.median:.3f} of the released"
        if metric.absolute is not None:
            text += f" {100 * metric.absolute.median:.3g} % of the ceiling"
        parts.append(text if metric.verdict == "PASS" else f"{text} ({metric.verdict})")
    return escape("; ".join(parts))
