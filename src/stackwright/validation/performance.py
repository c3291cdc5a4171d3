"""Judges the metrics of a case whose runs are all sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stackwright.validation import rule
from stackwright.validation.judgement import (
    Answer,
    MetricJudgement,
    RelativeAnswer,
    Verdict,
    worst,
)
from stackwright.validation.records import Case, Metric, MetricSpec, Probe, Run
from stackwright.validation.soundness import Finding, reading

IMPOSSIBLE = 1.5
"""A median fraction of the roofline that no stack reaches (docs/statistics.md, The ceiling)."""


@dataclass(frozen=True)
class Measured:
    """A metric's values in the order of the pairs, and the questions that they can answer."""

    spec: MetricSpec
    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    questions: dict[str, rule.Question]


def judge_metrics(
    case: Case, runs: Sequence[Run]
) -> tuple[list[Finding], tuple[MetricJudgement, ...]]:
    """Decide a case's questions together, as Holm's correction is over all of them.

    Args:
        case: a case with looks and metrics.
        runs: its runs: whole pairs, and each without findings.

    Returns:
        Why the runs are not those that the rule asks for, and the metrics: unjudged if there is
        such a reason.
    """
    try:
        measured = [_measure(spec, runs) for spec in case.metrics]
    except ValueError as error:
        return [Finding("INVALID", f"the metrics cannot be compared: {error}")], unjudged(case)
    if unreferenced := [m.spec.name for m in measured if not m.questions]:
        return [_unreferenced(name) for name in unreferenced], unjudged(case)
    asked = [question for m in measured for question in m.questions.values()]
    decisions = rule.decide_all(asked, case.looks)
    if miscounted := _miscounted(case.looks, len(measured[0].candidate), decisions):
        return [miscounted], unjudged(case)
    remaining = iter(decisions)
    return [], tuple(
        _judge_metric(m, {kind: next(remaining) for kind in m.questions}) for m in measured
    )


def unjudged(case: Case) -> tuple[MetricJudgement, ...]:
    """The metrics of a case whose runs cannot be judged."""
    return tuple(
        MetricJudgement(
            name=spec.name,
            unit=spec.unit,
            direction=spec.direction,
            verdict="UNAVAILABLE",
            reasons=("not judged: see the reasons of the case",),
            values={"candidate": (), "baseline": ()},
            relative=None,
            absolute=None,
        )
        for spec in case.metrics
    )


def _measure(spec: MetricSpec, runs: Sequence[Run]) -> Measured:
    ordered = sorted(runs, key=lambda run: run.pair)
    candidate_runs = [run for run in ordered if run.arm == "candidate"]
    candidate = tuple(reading(run, Metric, spec.name) for run in candidate_runs)
    baseline = tuple(reading(run, Metric, spec.name) for run in ordered if run.arm == "baseline")
    probes = [reading(run, Probe, spec.roofline) for run in candidate_runs if spec.roofline]
    asked = rule.questions(
        direction=spec.direction,
        delta=spec.delta,
        floor=spec.floor,
        candidate=candidate,
        baseline=baseline or None,
        probes=probes,
    )
    return Measured(spec, candidate, baseline, asked)


def _unreferenced(name: str) -> Finding:
    return Finding(
        "INVALID", f"metric {name} has no reference: neither a released baseline nor a roofline"
    )


def _miscounted(
    looks: Sequence[int], pairs: int, decisions: Sequence[rule.Decision]
) -> Finding | None:
    """Stopping early or measuring on would be choosing the outcome."""
    if any(d.verdict == "CONTINUE" for d in decisions):
        wanted = next(look for look in looks if look > pairs)
        return Finding("INVALID", f"stopped after {pairs} pairs; the rule asks for {wanted}")
    decided = max(d.n for d in decisions)
    if pairs > decided:
        return Finding("INVALID", f"ran on to {pairs} pairs, though {decided} had decided")
    return None


def _judge_metric(m: Measured, decisions: dict[str, rule.Decision]) -> MetricJudgement:
    relative = absolute = None
    if decision := decisions.get("relative"):
        question = m.questions["relative"]
        relative = RelativeAnswer(
            **_answer("relative", question, decision).model_dump(),
            autocorrelation=rule.lag1([math.log(x) for x in question.samples]),
        )
    if decision := decisions.get("absolute"):
        absolute = _answer("absolute", m.questions["absolute"], decision)
    return MetricJudgement(
        name=m.spec.name,
        unit=m.spec.unit,
        direction=m.spec.direction,
        verdict=worst(_verdict(kind, d) for kind, d in decisions.items()),
        reasons=tuple(
            _reason(kind, m.questions[kind], decision)
            for kind, decision in decisions.items()
            if _verdict(kind, decision) != "PASS"
        ),
        values={"candidate": m.candidate, "baseline": m.baseline},
        relative=relative,
        absolute=absolute,
    )


def _answer(kind: str, question: rule.Question, decision: rule.Decision) -> Answer:
    return Answer(
        verdict=_verdict(kind, decision),
        n=decision.n,
        median=decision.median,
        lower=decision.lower,
        upper=decision.upper,
        bound=question.bound,
        samples=question.samples,
    )


def _verdict(kind: str, decision: rule.Decision) -> Verdict:
    if kind == "absolute" and decision.lower > IMPOSSIBLE:
        return "INVALID"
    if decision.verdict == "CONTINUE":
        raise AssertionError("a case is judged only when each question is decided")
    return decision.verdict


def _reason(kind: str, question: rule.Question, decision: rule.Decision) -> str:
    of = {"relative": "of the released stack's", "absolute": "of the roofline"}[kind]
    found = f"{decision.median:.3g} {of} [{decision.lower:.3g}, {decision.upper:.3g}]"
    if _verdict(kind, decision) == "INVALID":
        return f"{found}: faster than the hardware; the timing or the probe is wrong"
    if decision.verdict == "FAIL":
        return f"{found}: below {question.bound:.3g}"
    return f"{found}: {decision.n} pairs cannot tell it from {question.bound:.3g}"
