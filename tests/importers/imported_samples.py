"""Synthetic results in the layout of each tool; the figures are made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stackwright.importers.csvtable import Columns
from stackwright.importers.formats import read
from stackwright.importers.table import Table
from stackwright.validation.comparison import Comparison, Terms, compare

FIXTURES = Path(__file__).parent / "fixtures"
LOGS = Columns()
USUAL = Terms()


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def table(name: str, columns: Columns = LOGS) -> Table:
    return read(fixture(name), columns)


def judged(
    baseline: str,
    candidate: str,
    terms: Terms = USUAL,
    columns: Columns = LOGS,
) -> Comparison:
    """The comparison of two texts."""
    return compare({"before": read(baseline, columns)}, {"after": read(candidate, columns)}, terms)


def verdicts(comparison: Comparison) -> Mapping[int | None, str]:
    return {one.size: one.verdict for one in comparison.compared}


def version(number: str) -> Columns:
    return Columns(
        metrics={"train_rate": "higher"},
        where={"version": number},
        selecting=frozenset({"version"}),
    )
