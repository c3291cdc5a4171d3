"""``stackwright judge``: recompute a verdict from a run's files, offline."""

from __future__ import annotations

from pathlib import Path

import click

from stackwright.cli.context import Context, echo_json, pass_context


@click.command("judge")
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as JSON.")
@pass_context
def command(context: Context, results: Path, as_json: bool) -> int:
    """Judge a run again from job.json and results.jsonl alone.

    RESULTS is a run's folder, or its results.jsonl. No store, no key and no network is needed. A
    judgement.json beside them that says something else is an error.
    Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID or HUNG.

    \b
    Examples:
      stackwright judge STORE/runs/20261120T194000Z-1f2e3d4c
      stackwright judge results.jsonl --json
    """
    import json

    from stackwright.certify.evidence import agree
    from stackwright.certify.strictjson import parse
    from stackwright.cli.runfolder import EVIDENCE, check_run
    from stackwright.cli.verdicts import exit_code, print_judgement
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
    if as_json:
        echo_json(judgement.model_dump(mode="json", by_alias=True))
    else:
        print_judgement(context, judgement)
    return exit_code(judgement.verdict)
