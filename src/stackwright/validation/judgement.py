"""What the gate concludes: the values of judgement.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from pydantic import Field, JsonValue

from stackwright.validation.records import Arms, Digest, SuiteRef, Value

Verdict = Literal["PASS", "WAIVED", "UNAVAILABLE", "INCONCLUSIVE", "FAIL", "HUNG", "INVALID"]

_SEVERITY: tuple[Verdict, ...] = (
    "PASS",
    "WAIVED",
    "UNAVAILABLE",
    "INCONCLUSIVE",
    "FAIL",
    "HUNG",
    "INVALID",
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a whole; INVALID for nothing at all, as nothing was shown."""
    return max(verdicts, key=_SEVERITY.index, default="INVALID")


class Answer(Value):
    """The answer to one question; median and bounds are those of the first `n` samples."""

    verdict: Verdict
    n: int
    median: float
    lower: float
    upper: float
    bound: float
    samples: tuple[float, ...]


class RelativeAnswer(Answer):
    """The comparison with the released stack."""

    autocorrelation: float


class MetricJudgement(Value):
    """A metric; UNAVAILABLE, with no tests, where its case is not fit to be judged."""

    name: str
    unit: str
    direction: Literal["higher", "lower"]
    verdict: Verdict
    reasons: tuple[str, ...]
    values: dict[Literal["candidate", "baseline"], tuple[float, ...]]
    relative: RelativeAnswer | None
    absolute: Answer | None


class CheckJudgement(Value):
    """A required check over all runs and ranks; the detail of the first that failed, if any."""

    name: str
    ok: bool
    detail: str


class SeriesJudgement(Value):
    """Lines of a plot, as the candidate's first run emitted them."""

    name: str
    xlabel: str
    ylabel: str
    x: tuple[JsonValue, ...]
    y: dict[str, tuple[JsonValue, ...]]


class CaseJudgement(Value):
    """A case; `seconds` is the wall time of all its runs."""

    id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    runs: int
    seconds: float
    checks: tuple[CheckJudgement, ...]
    metrics: tuple[MetricJudgement, ...]
    series: tuple[SeriesJudgement, ...]
    info: dict[str, JsonValue]


class Judgement(Value):
    """The verdict on a job; `reasons` are those that concern no single case."""

    schema_: Literal["stackwright/judgement/1"] = Field(alias="schema")
    job_id: str
    label: str
    system: str
    job: Digest
    results: Digest
    arms: Arms
    suite: SuiteRef
    verdict: Verdict
    kind: Literal["BASELINE", "COMPARED"]
    reasons: tuple[str, ...]
    cases: tuple[CaseJudgement, ...]

    def to_json(self) -> str:
        """The text of judgement.json: the same bytes for equal judgements."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"
