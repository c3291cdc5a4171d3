"""Which verdicts let a release through: PASS, and what an unexpired waiver names.

A waiver excuses being slow, undecided or unavailable, never being wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stackwright.certify.artefact import Digest, Frozen, LabelText
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.suggest import did_you_mean

# A measurement that cannot be trusted, or never ended, proves nothing that one could waive.
UNWAIVABLE = frozenset({"INVALID", "HUNG"})
WAIVABLE = frozenset({"FAIL", "INCONCLUSIVE", "UNAVAILABLE"})

MAX_WAIVER_DAYS = 90
"""How many days after the certificate's issue a waiver in it may end."""

_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def _check_day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("not of the form 2026-12-31")
    return text


Day = Annotated[str, AfterValidator(_check_day)]


class Waiver(Frozen):
    """Permission to release although one case did not pass, up to and including a day (UTC)."""

    case: str
    reason: str = Field(min_length=1)
    expires: Day

    def covers(self, day: date) -> bool:
        """Say whether the waiver still counts on ``day``."""
        return day <= date.fromisoformat(self.expires)


class _Part(BaseModel):
    """The few fields of a judgement that a certificate repeats; the gate owns the others."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class JudgedArm(_Part):
    """The bytes that ran."""

    plan_hash: Digest
    image: Digest
    squashfs: Digest
    prefix: Digest


class _Arms(_Part):
    candidate: JudgedArm
    baseline: JudgedArm | None


class _Suite(_Part):
    name: str
    digest: Digest


class _Check(_Part):
    name: str
    ok: bool


class _Case(_Part):
    id: str
    verdict: str
    checks: tuple[_Check, ...]


class Judged(_Part):
    """A judgement, as far as a certificate needs it."""

    schema_: Literal["stackwright/judgement/1"] = Field(alias="schema")
    label: LabelText
    system: str
    job: Digest
    results: Digest
    arms: _Arms
    suite: _Suite
    verdict: str
    kind: Literal["BASELINE", "COMPARED"]
    cases: tuple[_Case, ...]

    @classmethod
    def read(cls, data: bytes) -> Judged:
        """Parse the bytes of judgement.json.

        Raises:
            StackwrightError: if it is not a judgement.
        """
        parse(data, "judgement.json")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise StackwrightError(
                f"judgement.json is malformed: {place}: {first['msg']}",
                hint="recompute it: stackwright judge RUN",
                code=ExitCode.INVALID,
            ) from None


def accepted_cases(judged: Judged, waivers: Sequence[Waiver], day: date) -> dict[str, str]:
    """Return PASS or WAIVED for every case of the judgement.

    Args:
        day: the day on which the certificate is issued.

    Raises:
        StackwrightError: if there is no case, one has another verdict and no waiver that counts on
            ``day``, a check failed, no case passed, a waiver names no case or ends too late, or the
            suite failed for a reason of its own.
    """
    ids = [case.id for case in judged.cases]
    _check_listed(ids)
    for waiver in waivers:
        if waiver.case not in ids:
            raise _refused(
                f"the waiver for {waiver.case!r} names no case of this judgement"
                f"{did_you_mean(waiver.case, ids)}",
                hint=f"the cases are: {', '.join(sorted(ids))}",
            )
    if judged.verdict in UNWAIVABLE:
        raise _refused(f"the verdict is {judged.verdict}, which nothing can waive", hint=_RERUN)
    accepted = {case.id: _accept(case, waivers, day) for case in judged.cases}
    failed = {case.verdict for case in judged.cases} - {"PASS"}
    if judged.verdict not in (failed or {"PASS"}):
        raise _refused(
            f"the verdict is {judged.verdict}, and no case accounts for it",
            hint="see the judgement's reasons: stackwright report LABEL",
        )
    _check_something_passed(accepted)
    return accepted


def check_cases(
    cases: Mapping[str, str],
    waivers: Sequence[Waiver],
    required: Iterable[str],
    *,
    issued: date,
    day: date,
) -> None:
    """Check a certificate's own account of its cases.

    Raises:
        StackwrightError: no case at all, a wildcard, a required case that is absent, a case that
            neither passed nor has a waiver that counts on ``day``, a waiver that ends too long
            after the day of issue, no case that passed.
    """
    _check_listed(list(cases))
    for waiver in waivers:
        _check_id(waiver.case)
    wanted = sorted(required)
    if not wanted:
        raise _refused("the suite requires no case", hint="give the suite at least one case")
    for case in wanted:
        if case not in cases:
            raise _refused(f"the required case {case!r} is absent from the certificate", _RERUN)
    for case, verdict in cases.items():
        if verdict == "WAIVED":
            _check_waived(case, waivers, issued=issued, day=day)
        elif verdict != "PASS":
            raise _refused(f"the case {case!r} did not pass: {verdict}", hint=_RERUN)
    _check_something_passed(cases)


_RERUN = "mend it, then: stackwright validate LABEL && stackwright certify LABEL"


def _accept(case: _Case, waivers: Sequence[Waiver], day: date) -> str:
    if case.verdict == "PASS":
        return "PASS"
    named = any(waiver.case == case.id for waiver in waivers)
    if not named or case.verdict not in WAIVABLE:
        raise _refused(f"the case {case.id!r} did not pass: {case.verdict}", hint=_RERUN)
    for check in case.checks:
        if not check.ok:
            raise _refused(
                f"the case {case.id!r} failed its check {check.name!r}: "
                "a waiver excuses being slow, never being wrong",
                hint=_RERUN,
            )
    _check_waived(case.id, waivers, issued=day, day=day)
    return "WAIVED"


def _check_waived(case: str, waivers: Sequence[Waiver], *, issued: date, day: date) -> None:
    ends = [date.fromisoformat(waiver.expires) for waiver in waivers if waiver.case == case]
    if not ends:
        raise _refused(f"the case {case!r} is waived, but no waiver names it", hint=_RERUN)
    last, latest = max(ends), issued + timedelta(days=MAX_WAIVER_DAYS)
    if last > latest:
        raise _refused(
            f"the waiver for {case!r} ends on {last}, "
            f"more than {MAX_WAIVER_DAYS} days after the certificate's issue",
            hint=f"let it end by {latest}, then: stackwright certify LABEL",
        )
    if last < day:
        raise _refused(f"the waiver for {case!r} expired on {last}", hint=_RERUN)


def _check_something_passed(cases: Mapping[str, str]) -> None:
    if "PASS" not in cases.values():
        raise _refused("every case is waived, so nothing was shown", hint=_RERUN)


def _check_listed(ids: list[str]) -> None:
    if not ids:
        raise _refused("there are no cases, so nothing was shown", hint=_RERUN)
    for case in ids:
        _check_id(case)
        if ids.count(case) > 1:
            raise _refused(f"the case {case!r} occurs twice", hint=_RERUN)


def _check_id(case: str) -> None:
    if not _CASE.fullmatch(case):
        raise _refused(f"{case!r} is not the id of one case", hint="name every case in full")


def _refused(what: str, hint: str) -> StackwrightError:
    return StackwrightError(what, hint=hint, code=ExitCode.FAIL)
