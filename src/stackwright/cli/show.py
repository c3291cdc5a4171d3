"""``stackwright show``: one label in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context
from stackwright.errors import StackwrightError

if TYPE_CHECKING:
    from stackwright.cli.overview import Row
    from stackwright.inputs.systems import System
    from stackwright.plans.plan import SourceBuild


@click.command("show")
@click.argument("label")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def command(context: Context, label: str, as_json: bool) -> None:
    """Show one label: what is in it, what it sets, and how far it has come.

    \b
    Examples:
      stackwright show pytorch
      stackwright show pytorch/2.13.0-cpu@local --json
    """
    from stackwright.cli.overview import overview
    from stackwright.plans.plan import warnings

    chosen = context.pick(label)
    (row,) = overview(context, [chosen])
    found = warnings(context.site, chosen, row.versions)
    if as_json:
        echo_json(
            {
                "label": str(row.label),
                "state": row.state,
                "progress": row.progress,
                "plan_hash": row.plan_hash,
                "store": str(context.store(chosen.system).root),
                "warnings": list(found),
                "waived": dict(row.waived),
                "plan": row.plan.to_json(),
            }
        )
        return
    suite = context.site.stack(chosen.stack).suite_of(chosen.variant)
    facts = _facts(row, str(context.store(chosen.system).root), suite)
    for name, value in (*facts, *_machine(context.site.system(chosen.system))):
        click.echo(f"{name:<12} {value}".rstrip())
    for text in found:
        click.echo(f"warning: {text}", err=True)


def _facts(row: Row, store: str, suite: str) -> Iterator[tuple[str, str]]:
    from stackwright.report.text import printable

    plan = row.plan
    end = f", end of life {row.entry.end_of_life}" if row.entry.end_of_life else ""
    yield "label", str(row.label)
    now = f" (what its files say now is {row.progress})" if row.state == "stale" else ""
    yield "state", f"{row.state}{now}"
    waived = tuple(printable(f"{case} until {day}") for case, day in row.waived.items())
    yield from _column("waived", waived)
    yield "status", f"{row.entry.status}{end}"
    yield "summary", plan.summary
    yield "homepage", plan.homepage
    yield "plan", row.plan_hash
    if isinstance(row.lock, StackwrightError):
        yield "lock", f"{row.lock.what}; next: {row.lock.hint}"
    else:
        yield "lock", plan.lock_digest or ""
    yield "store", store if Path(store).exists() else f"{store} (not there yet)"
    yield "provider", f"{plan.provider}, Python {plan.python}"
    yield from _column("common", plan.common)
    yield from _column("frameworks", plan.frameworks)
    yield from _column("packages", plan.packages)
    yield from _column("sources", tuple(map(_built, plan.sources)))
    yield from _column("patched", tuple(plan.spack.patched if plan.spack else ()))
    yield "mpi", plan.mpi
    yield "cpu target", plan.machine.target
    yield "base", ": ".join(filter(None, (plan.base.source, ", ".join(plan.base.packages))))
    yield "suite", suite
    for index, variable in enumerate(plan.environment):
        yield "" if index else "environment", f"{variable.name}={variable.value}"
        yield "", f"    {variable.why}"


def _built(source: SourceBuild) -> str:
    return f"{source.requirement}, {len(source.patches)} patches"


def _machine(system: System) -> Iterator[tuple[str, str]]:
    """What a person wants to know of the system before running on it."""
    if batch := system.batch:
        said = (f"partition {batch.partition}" if batch.partition else "", *batch.options)
        asked = (f"{option}=..." for option in batch.asks)
        yield from _column("batch", (" ".join(filter(None, (system.scheduler, *said, *asked))),))
    yield from _column("injections", system.injections)
    yield from _column(
        "capability", tuple(f"{can.name}: {can.why} ({can.source})" for can in system.capabilities)
    )
    yield from _column(
        "roofline",
        tuple(f"{n}: {r.value:g} {r.unit} ({r.source})" for n, r in system.rooflines.items()),
    )


def _column(name: str, values: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(values):
        yield "" if index else name, value
