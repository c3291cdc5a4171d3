"""``stackwright judge``: recompute a verdict from files, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.errors import StackwrightError
    from stackwright.importers.csvtable import Columns
    from stackwright.importers.table import Direction, Table
    from stackwright.validation.judgement import Judgement

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def fraction(text: str) -> float:
    """A fraction from 0 up to, but not including, 1: 0.05 or 5%."""
    number = text.strip()
    try:
        found = float(number[:-1]) / 100 if number.endswith("%") else float(number)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1:
        raise click.BadParameter(f"'{text}' is no fraction such as 0.05 or 5%")
    return found


def column(text: str) -> tuple[str, str]:
    """A column and the value that it must have, from COLUMN=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"'{text}' is not COLUMN=VALUE, such as version=1.6.0")
    return name.strip(), value.strip()


@click.command("judge")
@click.argument("results", required=False, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--baseline", multiple=True, type=FILE, help="A file measured elsewhere; again for each run."
)
@click.option("--candidate", multiple=True, type=FILE, help="What is compared with it; likewise.")
@click.option("--delta", type=fraction, default="5%", show_default=True, help="Tolerated loss.")
@click.option(
    "--spread",
    type=fraction,
    help="How much single runs of the same software vary: the relative standard deviation"
    " [default: 10% for nccl-tests and OSU, 1.5% for a CSV].",
)
@click.option("--higher", multiple=True, metavar="COLUMN", help="CSV: a metric; higher is better.")
@click.option("--lower", multiple=True, metavar="COLUMN", help="CSV: a metric; lower is better.")
@click.option(
    "--where", multiple=True, type=column, metavar="COLUMN=VALUE", help="CSV: take only such rows."
)
@click.option(
    "--baseline-where",
    multiple=True,
    type=column,
    metavar="COLUMN=VALUE",
    help="CSV: the baseline's rows.",
)
@click.option(
    "--candidate-where",
    multiple=True,
    type=column,
    metavar="COLUMN=VALUE",
    help="CSV: the candidate's rows.",
)
@click.option("--ignore", multiple=True, metavar="COLUMN", help="CSV: tells no rows apart.")
@click.option("--pair", metavar="COLUMN", help="CSV: names the job in which both arms ran.")
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as JSON.")
@pass_context
def command(
    context: Context,
    results: Path | None,
    baseline: Sequence[Path],
    candidate: Sequence[Path],
    delta: float,
    spread: float | None,
    higher: Sequence[str],
    lower: Sequence[str],
    where: Sequence[tuple[str, str]],
    baseline_where: Sequence[tuple[str, str]],
    candidate_where: Sequence[tuple[str, str]],
    ignore: Sequence[str],
    pair: str | None,
    as_json: bool,
) -> int:
    """Judge a run again from its files, or results that were measured elsewhere.

    RESULTS is a run's folder, or its results.jsonl. No store, no key and no network is needed. A
    judgement.json beside them that says something else is an error.

    --baseline and --candidate name results of nccl-tests (text or JSON), of the OSU
    micro-benchmarks, or CSV. Unless they are paired they never PASS: see docs/importing.md.
    Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID or HUNG.

    \b
    Examples:
      stackwright judge STORE/runs/20261120T194000Z-1f2e3d4c
      stackwright judge results.jsonl --json
      stackwright judge --baseline nccl-2.22.log --candidate nccl-2.23.log
      stackwright judge --baseline r.csv --baseline-where version=1.5.1 \\
        --candidate r.csv --candidate-where version=1.6.0 --higher train_rate
    """
    from stackwright.cli.comparison import print_comparison
    from stackwright.cli.verdicts import exit_code, print_judgement
    from stackwright.errors import StackwrightError
    from stackwright.importers.csvtable import Columns
    from stackwright.validation.comparability import repeated
    from stackwright.validation.comparison import Terms, compare

    if (results is not None) == bool(baseline or candidate) or bool(baseline) != bool(candidate):
        raise StackwrightError(
            "name a run's folder, or both --baseline FILE and --candidate FILE",
            hint="stackwright judge --help",
        )
    if results is not None:
        judgement = _judge_run(results)
        if as_json:
            echo_json(judgement.model_dump(mode="json", by_alias=True))
        else:
            print_judgement(context, judgement)
        return exit_code(judgement.verdict)
    common = Columns(
        metrics=_metrics(higher, lower),
        selecting=frozenset(name for name, _ in (*baseline_where, *candidate_where)),
        ignored=frozenset(ignore),
        pair=pair,
    )
    before = replace(common, where=dict([*where, *baseline_where]))
    after = replace(common, where=dict([*where, *candidate_where]))
    old, new = _read(baseline, before), _read(candidate, after)  # first: a column may be misspelt
    _refuse_the_same([(file, before) for file in baseline] + [(file, after) for file in candidate])
    if same := repeated({"baseline": old, "candidate": new}):
        raise _nothing_to_compare(*same)
    comparison = compare(old, new, Terms(delta, spread))
    if as_json:
        click.echo(comparison.to_json(), nl=False)
    else:
        print_comparison(context, comparison)
    return exit_code(comparison.verdict)


def _judge_run(results: Path) -> Judgement:
    """The judgement of a run's raw results, if no other one is on file."""
    import json

    from stackwright.certify.evidence import agree
    from stackwright.certify.strictjson import parse
    from stackwright.cli.runfolder import EVIDENCE, check_run
    from stackwright.errors import ExitCode, Location, StackwrightError
    from stackwright.validation.gate import judge

    folder = results if results.is_dir() else results.parent
    file = folder / "results.jsonl" if results.is_dir() else results
    check_run(
        folder,
        EVIDENCE if results.is_dir() else EVIDENCE[:1],
        hint="name a folder of STORE/runs: stackwright judge STORE/runs/JOB",
    )
    judgement = judge((folder / "job.json").read_bytes(), file.read_bytes())
    recorded = folder / "judgement.json"
    if recorded.is_file() and not agree(
        parse(recorded.read_bytes(), str(recorded)), json.loads(judgement.to_json())
    ):
        raise StackwrightError(
            f"the judgement on file is not what its results say: they say {judgement.verdict}",
            where=Location(recorded),
            hint="one of the three files was changed: validate again",
            code=ExitCode.INVALID,
        )
    return judgement


def _metrics(higher: Sequence[str], lower: Sequence[str]) -> dict[str, Direction]:
    """Each metric's direction; it has only one."""
    if both := set(higher) & set(lower):
        raise click.BadParameter(f"{', '.join(sorted(both))} can't be better both ways")
    up: Direction = "higher"
    down: Direction = "lower"
    return dict.fromkeys(higher, up) | dict.fromkeys(lower, down)


def _refuse_the_same(files: Sequence[tuple[Path, Columns]]) -> None:
    """The same rows twice are no comparison, and no second run."""
    from itertools import combinations

    for (file, columns), (other, others) in combinations(files, 2):
        same = file.read_bytes() == other.read_bytes() != b""
        if same and not _apart(columns.where, others.where):
            raise _nothing_to_compare(file, other)


def _nothing_to_compare(one: Path | str, other: Path | str) -> StackwrightError:
    from stackwright.errors import StackwrightError

    return StackwrightError(
        f"{other} has the very measurements of {one}: nothing to compare",
        hint="name another file, or other rows of a CSV: --candidate-where COLUMN=VALUE,"
        " with the column of --baseline-where",
    )


def _apart(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether no row can be in both selections: they ask different things of a column."""
    return any(value != other.get(column, value) for column, value in one.items())


def _read(files: Sequence[Path], columns: Columns) -> dict[str, Table]:
    """Each file's table; bytes that are no text make no number."""
    from stackwright.importers.formats import read

    return {
        str(file): read(file.read_bytes().decode("utf-8-sig", errors="replace"), columns)
        for file in files
    }
