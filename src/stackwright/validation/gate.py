"""The gate: a pure function from the bytes of job.json and results.jsonl to a verdict.

Nothing but these two files counts, so anyone can compute a verdict again. Whatever is missing,
doubled, out of order or unreadable makes a case INVALID: only evidence that is whole can pass.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from stackwright.validation.judgement import (
    CaseJudgement,
    CheckJudgement,
    Judgement,
    SeriesJudgement,
    worst,
)
from stackwright.validation.performance import judge_metrics, unjudged
from stackwright.validation.records import Arm, Case, Check, Info, Job, Run, Series
from stackwright.validation.results import load_job, load_results, sha256
from stackwright.validation.soundness import Finding, findings

__all__ = ["Judgement", "candidate_first", "judge"]


def judge(job: bytes, results: bytes) -> Judgement:
    """Judge a job by its results.

    Args:
        job: the bytes of job.json.
        results: the bytes of results.jsonl; what is wrong with them becomes a reason, not an error.

    Raises:
        StackwrightError: job.json cannot be read, so that there is nothing to judge against.
    """
    asked = load_job(job)
    got = load_results(results, asked, job)
    cases = tuple(
        _judge_case(asked, case, [run for run in got.runs if run.case == case.id])
        for case in asked.cases
    )
    reasons = (*got.defects, *_misfits(asked, got.runs))
    return Judgement(
        schema="stackwright/judgement/1",
        job_id=asked.job_id,
        label=asked.label,
        system=asked.system,
        job=sha256(job),
        results=sha256(results),
        arms=asked.arms,
        suite=asked.suite,
        verdict="INVALID" if reasons else worst(case.verdict for case in cases),
        kind="BASELINE" if asked.arms.baseline is None else "COMPARED",
        reasons=reasons,
        cases=cases,
    )


def candidate_first(job: Job, case: Case, pair: int) -> bool:
    """Whether the candidate runs first in a pair (docs/formats.md, Job)."""
    return random.Random(f"{job.seed}:{case.id}:{pair}").random() < 0.5  # noqa: S311, PLR2004


def _misfits(job: Job, runs: Sequence[Run]) -> Iterator[str]:
    if not job.cases:
        yield "the job has no cases: nothing was validated"
    known = {case.id for case in job.cases}
    for name in sorted({run.case for run in runs} - known):
        yield f"the results have runs of {name!r}, which the job never asked for"


def _judge_case(job: Job, case: Case, runs: Sequence[Run]) -> CaseJudgement:
    if case.lacks:
        return _unavailable(job, case, runs)
    found = [Finding("INVALID", reason) for reason in _incomplete(job, case, runs)]
    found += [finding for run in runs for finding in findings(job, case, run)]
    metrics = unjudged(case)
    if not found and case.looks:
        found, metrics = judge_metrics(case, runs)
    shown = next((run for run in runs if run.arm == "candidate"), None)
    return CaseJudgement(
        id=case.id,
        verdict=worst(["PASS", *(f.verdict for f in found), *(m.verdict for m in metrics)]),
        reasons=tuple(f.reason for f in found),
        runs=len(runs),
        seconds=math.fsum(run.seconds for run in runs),
        checks=tuple(_judge_check(name, runs) for name in case.checks),
        metrics=metrics,
        series=_series(shown) if shown else (),
        info=_info(shown) if shown else {},
    )


def _unavailable(job: Job, case: Case, runs: Sequence[Run]) -> CaseJudgement:
    """A case that needs what the system lacks shows nothing: it neither fails nor passes.

    It has no checks, as none could fail: a waiver may excuse it.
    """
    reasons = [f"needs {need}, which {job.system} lacks" for need in case.lacks]
    ran = [f"it ran nevertheless, {len(runs)} times"] if runs else []
    return CaseJudgement(
        id=case.id,
        verdict="INVALID" if ran else "UNAVAILABLE",
        reasons=(*reasons, *ran),
        runs=len(runs),
        seconds=math.fsum(run.seconds for run in runs),
        checks=(),
        metrics=unjudged(case),
        series=(),
        info={},
    )


def _incomplete(job: Job, case: Case, runs: Sequence[Run]) -> Iterator[str]:
    """Are the runs whole pairs, each once, counted from 0, in the order that the seed gave?"""
    if not runs:
        yield "never ran"
        return
    pairs = 1 + max(run.pair for run in runs)
    if pairs > len(runs):
        yield f"the runs are numbered up to pair {pairs - 1}, but there are only {len(runs)}"
        return
    expected = [(pair, arm) for pair in range(pairs) for arm in _order(job, case, pair)]
    actual = [(run.pair, run.arm) for run in runs]
    times = Counter(actual)
    for pair, arm in expected:
        if times[pair, arm] != 1:
            yield f"pair {pair} {arm} ran {times[pair, arm]} times, not once"
    for pair, arm in sorted(set(actual) - set(expected)):
        yield f"pair {pair} {arm} was not asked for"
    if sorted(actual) == sorted(expected) and actual != expected:
        yield "the runs are not in the order that the job's seed gives"
    if not case.looks and pairs > 1:
        yield f"{pairs} runs, but one decides: running again until it passes is not allowed"
    for run in runs:
        order = _order(job, case, run.pair)
        if run.arm in order and run.position != order.index(run.arm):
            yield f"pair {run.pair} {run.arm} ran at position {run.position}, not where asked"


def _order(job: Job, case: Case, pair: int) -> tuple[Arm, ...]:
    arms = job.arms_of(case)
    return arms if candidate_first(job, case, pair) else arms[::-1]


def _judge_check(name: str, runs: Sequence[Run]) -> CheckJudgement:
    reports = [
        line
        for run in runs
        for rank in run.ranks
        for line in rank
        if isinstance(line, Check) and line.name == name
    ]
    if not reports:
        return CheckJudgement(name=name, ok=False, detail="never reported")
    telling = next((check for check in reports if not check.ok), reports[0])
    return CheckJudgement(name=name, ok=telling.ok, detail=telling.detail)


def _series(run: Run) -> tuple[SeriesJudgement, ...]:
    lines = (line for rank in run.ranks for line in rank)
    return tuple(
        SeriesJudgement.model_validate(line.model_dump(exclude={"t"}))
        for line in lines
        if isinstance(line, Series)
    )


def _info(run: Run) -> dict[str, JsonValue]:
    """Facts by name; where ranks differ, the lowest rank speaks."""
    lines = (line for rank in reversed(run.ranks) for line in rank)
    return {line.name: line.value for line in lines if isinstance(line, Info)}
