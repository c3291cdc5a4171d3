"""Is one run fit to be judged? Everything here looks at a single run of a single case.

A finding is a verdict that the run forces upon its case, with the reason. A run without findings is
whole: every rank of the right stack reported everything that was asked, once, and finite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from stackwright.batch.srun import spread
from stackwright.validation.judgement import Verdict
from stackwright.validation.records import (
    Artefact,
    Begin,
    Case,
    Check,
    Job,
    Line,
    Metric,
    Probe,
    Run,
)


@dataclass(frozen=True)
class Finding:
    """Why a case cannot pass."""

    verdict: Verdict
    reason: str


def findings(job: Job, case: Case, run: Run) -> list[Finding]:
    """All that is wrong with a run, each reason headed by the pair and the arm."""
    artefact = job.arms.candidate if run.arm == "candidate" else job.arms.baseline
    if artefact is None:
        return [Finding("INVALID", f"pair {run.pair} {run.arm}: the job has no such arm")]
    found = list(_findings(job, case, run, artefact))
    return [Finding(f.verdict, f"pair {run.pair} {run.arm}: {f.reason}") for f in found]


def reading(run: Run, kind: type[Metric] | type[Probe], name: str) -> float:
    """The value that a sound run reported under a name."""
    return next(
        float(line.value) for line in _lines(run) if isinstance(line, kind) and line.name == name
    )


def _findings(job: Job, case: Case, run: Run, artefact: Artefact) -> Iterator[Finding]:
    invalid = [*(run.problems or ()), *_identity(job, run, artefact)]
    if run.exit.timed_out:
        # The ranks could not finish, so what they did not report says nothing more.
        yield Finding("HUNG", f"no end within {case.timeout_s:g} s{_stacks(run)}")
    else:
        invalid += [
            *_ending(run),
            *_ranks(case, run),
            *_nodes(job, case, run),
            *_checks_reported(case, run),
        ]
        invalid += [*_values(case, run)]
    for reason in invalid:
        yield Finding("INVALID", reason)
    for check in _lines(run):
        if isinstance(check, Check) and not check.ok:
            yield _failed(run, check)


def _failed(run: Run, check: Check) -> Finding:
    reason = f"check {check.name}: {check.detail}"
    if run.arm == "candidate":
        return Finding("FAIL", reason)
    return Finding("INVALID", f"{reason}; a baseline that computes wrongly is no reference")


def _stacks(run: Run) -> str:
    stacks = sorted(log for log in run.logs if log.endswith(".stack"))
    return f"; stacks of the ranks: {', '.join(stacks)}" if stacks else ""


def _lines(run: Run) -> Iterator[Line]:
    return (line for rank in run.ranks for line in rank)


def _identity(job: Job, run: Run, artefact: Artefact) -> Iterator[str]:
    """Did every rank run in the very artefact that was asked for, for this very job?"""
    for begin in (line for line in _lines(run) if isinstance(line, Begin)):
        who = f"rank {begin.rank}"
        if begin.nonce != job.nonce:
            yield f"{who} has another nonce: its output is left over from an earlier job"
        if begin.manifest is None:
            yield f"{who}: {begin.prefix} has no manifest: the host was measured, not the stack"
            continue
        if begin.manifest.plan_hash != artefact.plan_hash:
            yield f"{who} ran in a stack of plan {begin.manifest.plan_hash}, not the one asked for"
        if begin.manifest.tree != artefact.prefix:
            yield f"{who} ran in the prefix {begin.manifest.tree}, not in {artefact.prefix}"


def _ending(run: Run) -> Iterator[str]:
    if run.exit.signal is not None:
        yield f"ended by signal {run.exit.signal}"
    if run.exit.code != 0:
        yield f"exit code {run.exit.code}" if run.exit.code is not None else "no exit code"


def _ranks(case: Case, run: Run) -> Iterator[str]:
    """Is each rank there, once, from its beginning to its end?"""
    if len(run.ranks) != case.ranks:
        yield f"ranks that reported: {len(run.ranks)}, ranks asked for: {case.ranks}"
    begun: Counter[int] = Counter()
    for index, lines in enumerate(run.ranks):
        kinds = [line.t for line in lines]
        if kinds[:1] != ["begin"] or kinds.count("begin") != 1:
            yield f"rank file {index} does not start with its one 'begin'"
        if kinds[-1:] != ["end"] or kinds.count("end") != 1:
            yield f"rank file {index} does not stop at its one 'end': the rank did not finish"
    for begin in (line for line in _lines(run) if isinstance(line, Begin)):
        begun[begin.rank] += 1
        if begin.world != case.ranks:
            yield f"rank {begin.rank} saw a world of {begin.world}, not of {case.ranks}"
    for rank, times in begun.items():
        if times > 1:
            yield f"rank {rank} reported {times} times"
        if rank >= case.ranks:
            yield f"rank {rank} is beyond the last one asked for, {case.ranks - 1}"


def _nodes(job: Job, case: Case, run: Run) -> Iterator[str]:
    """Did the ranks run on the very nodes that they were spread over?"""
    if not job.hostnames:
        return
    wanted = job.hostnames[: spread(case.ranks, len(job.hostnames))]
    found = sorted({line.host for line in _lines(run) if isinstance(line, Begin)})
    if found != sorted(wanted):
        yield f"ranks ran on {', '.join(found) or 'no node'}, not on {', '.join(wanted)}"


def _checks_reported(case: Case, run: Run) -> Iterator[str]:
    reported = {line.name for line in _lines(run) if isinstance(line, Check)}
    for name in case.checks:
        if name not in reported:
            yield f"check {name} is missing"
    for name in sorted(reported - set(case.checks)):
        yield f"check {name} was not asked for: a misspelt name, or another case's output"
    for index, lines in enumerate(run.ranks):
        times = Counter(line.name for line in lines if isinstance(line, Check))
        for name, count in times.items():
            if count > 1:
                yield f"rank file {index} has check {name} {count} times"


def _values(case: Case, run: Run) -> Iterator[str]:
    """Is each metric there once, with its probe, in its unit, and a usable number?"""
    asked = {spec.name for spec in case.metrics}
    for name in sorted({ln.name for ln in _lines(run) if isinstance(ln, Metric)} - asked):
        yield f"metric {name} was not asked for: a misspelt name, or another case's output"
    for spec in case.metrics:
        yield from _value(run, Metric, spec.name, spec.unit)
    for name, unit, floor in _probes(case):
        yield from _value(run, Probe, name, unit)
        yield from _weak(run, name, floor)


def _probes(case: Case) -> list[tuple[str, str, float]]:
    """Each roofline that a case needs: its name, unit and floor, once though metrics share it."""
    needed = (
        (spec.roofline, spec.unit, spec.roofline_floor)
        for spec in case.metrics
        if spec.roofline is not None and spec.roofline_floor is not None
    )
    return list(dict.fromkeys(needed))


def _value(run: Run, kind: type[Metric] | type[Probe], name: str, unit: str) -> Iterator[str]:
    what = f"{kind.__name__.lower()} {name}"
    found = [line for line in _lines(run) if isinstance(line, kind) and line.name == name]
    if not found:
        yield f"{what} is missing"
    if len(found) > 1:
        yield f"{what} was reported {len(found)} times"
    for line in found:
        if not 0 < float(line.value) < math.inf:
            yield f"{what} is {line.value}: not a positive finite number"
        if line.unit != unit:
            yield f"{what} is in {line.unit!r}, not in {unit!r}"


def _weak(run: Run, probe: str, floor: float) -> Iterator[str]:
    for line in _lines(run):
        if isinstance(line, Probe) and line.name == probe and float(line.value) < floor:
            yield (
                f"probe {probe} measured {line.value} {line.unit}, below its own floor of "
                f"{floor:g}: the machine was not fit to measure on"
            )
