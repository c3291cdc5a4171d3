"""The sentence that a reviewer reads first, and what stands right below it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stackwright.inputs.fields import PART
from stackwright.report.changes import changes
from stackwright.report.model import Certificate, JsonObject, ReportData
from stackwright.report.text import moment
from stackwright.report.verdicts import WORST_FIRST, Tone, verdict
from stackwright.validation.suites import FOR_LOOKING, called

_COMPARISON = {
    "BASELINE": "No comparison with an earlier release was possible: only correctness and the"
    " absolute floors were judged.",
    "COMPARED": "Performance metrics were measured on the candidate and on the released stack,"
    " pair by pair in the same job.",
}

_SAME_BYTES = (
    "These very bytes were released already, so there was nothing to compare with: only"
    " correctness and the absolute floors were judged."
)


@dataclass(frozen=True)
class Headline:
    """The verdict in one sentence; `next_step` is the command that follows from it."""

    word: str
    tone: Tone
    sentence: str
    comparison: str
    certificate: str
    certificate_tone: Tone
    next_step: str | None


def headline(data: ReportData) -> Headline:
    """Say what the judgement means for the release.

    Raises:
        StackwrightError: the judgement has a verdict that is not one of the known ones.
    """
    judged, label = data.judgement, str(data.judgement["label"])
    result = verdict(judged["verdict"])
    refused = result.passes and data.certificate is not None and not data.certificate.verified
    said, tone = _certificate(data.certificate)
    return Headline(
        word="REFUSED" if refused else result.word,
        tone="bad" if refused else result.tone,
        sentence=_sentence(data, refused),
        comparison=_comparison(data)
        + _part(data)
        + _asked_less(data)
        + _interruptions(data.interruptions),
        certificate=said,
        certificate_tone=tone,
        next_step=_next_step(data, label, result.passes),
    )


def _comparison(data: ReportData) -> str:
    judged = data.judgement
    if not any(case["metrics"] for case in judged["cases"]):
        return "No performance was measured: the suite has no metrics."
    if judged["kind"] == "BASELINE" and data.previous:
        return _SAME_BYTES
    return _COMPARISON[judged["kind"]]


def _part(data: ReportData) -> str:
    part = str(data.judgement["suite"]["name"]).startswith(PART)
    return f" This was {FOR_LOOKING}." if part else ""


def _asked_less(data: ReportData) -> str:
    changed = changes(data)
    if changed is None or not changed.shrank:
        return ""
    return f" Not all was asked that was asked of the released stack: {changed.coverage}."


def _interruptions(count: int) -> str:
    times = "once" if count == 1 else f"{count} times"
    return f" A run was interrupted and begun again {times}." if count else ""


def tally(judgement: JsonObject) -> list[tuple[str, int]]:
    """How many cases have each verdict, the worst first."""
    counts = Counter(verdict(case["verdict"]).word for case in judgement["cases"])
    return sorted(counts.items(), key=lambda item: WORST_FIRST.index(item[0]))


def _sentence(data: ReportData, refused: bool) -> str:
    name, system = str(data.judgement["label"]).partition("@")[0], data.judgement["system"]
    result = verdict(data.judgement["verdict"])
    but = f", but is: {data.released}" if data.released else ""
    if refused:
        return f"{name} must not be released on {system}{but}: its certificate is not valid"
    if not result.passes:
        return f"{_blame(data.judgement)}: {name} must not be released on {system}{but}"
    waived = dict(tally(data.judgement)).get("WAIVED", 0)
    of = f", {waived} of {_cases(len(data.judgement['cases']))} waived" if waived else ""
    if data.released:
        return f"{name} is released on {system} ({data.released}){of}"
    if other := _other_suite(data):
        return passes_only(name, other, system, str(data.required_suite))
    may = "may be released" if data.certificate else "may be certified for release"
    return f"{name} {may} on {system}{of}"


def passes_only(name: str, suite: str, system: str, required: str) -> str:
    """What a PASS is worth that is not by the suite that a release needs."""
    return f"{name} passes {called(suite)}; a release on {system} needs '{required}'"


def _blame(judgement: JsonObject) -> str:
    total = len(judgement["cases"])
    bad = [(count, verdict(word)) for word, count in tally(judgement) if not verdict(word).passes]
    if not bad:
        return "the evidence as a whole is not sound"
    (count, first), *others = bad
    rest = "".join(f", {count} {other.said}" for count, other in others)
    return f"{count} of {_cases(total)} {first.said}{rest}"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _certificate(certificate: Certificate | None) -> tuple[str, Tone]:
    if certificate is None:
        return "not certified yet", "unsure"
    keys = ", ".join(key[:16] for key in certificate.signers)
    signed = f"signed by {keys}" if keys else "not signed"
    until = moment(certificate.statement["predicate"]["expires"])
    if certificate.verified:
        return f"verified, {signed}, valid until {until}", "good"
    return f"NOT verified ({certificate.message}), {signed}, valid until {until}", "bad"


def _other_suite(data: ReportData) -> str | None:
    """The suite that was passed, if it is not the one that a release needs."""
    suite = str(data.judgement["suite"]["name"])
    return suite if data.required_suite not in (None, suite) else None


def _next_step(data: ReportData, label: str, passes: bool) -> str | None:
    if data.released or not passes:
        return None
    if _other_suite(data):
        return f"stackwright validate {label}"
    if data.certificate is None or not data.certificate.verified:
        return f"stackwright certify {label}"
    return f"stackwright release {label}"
