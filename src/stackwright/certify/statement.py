"""What a certificate says: an in-toto Statement v1 with our predicate (docs/formats.md).

Specification: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.acceptance import Judged, Waiver, accepted_cases
from stackwright.certify.artefact import Built, Digest, Digests, Frozen, LabelText
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, StackwrightError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:stackwright:certificate:v1"
PARTS = ("image", "squashfs", "prefix")

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def timestamp(moment: datetime) -> str:
    """Write an aware moment in UTC, to the second."""
    return moment.astimezone(timezone.utc).strftime(_TIME_FORMAT)


def moment(text: str) -> datetime:
    """Read what `timestamp` wrote.

    Raises:
        ValueError: it is not such a text.
    """
    return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=timezone.utc)


def _check_timestamp(text: str) -> str:
    if timestamp(moment(text)) != text:
        raise ValueError("not of the form 2026-01-31T23:59:59Z")
    return text


Timestamp = Annotated[str, AfterValidator(_check_timestamp)]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SubjectDigest(Frozen):
    """The digest set of a subject; sha256 only."""

    sha256: Hex


class Subject(Frozen):
    """One thing that the statement is about."""

    name: str
    digest: SubjectDigest


class Suite(Frozen):
    """The set of cases that ran; the digest covers what each case requires."""

    name: str
    digest: Digest


class EvidenceDigests(Frozen):
    """The files of the run that the verdicts can be recomputed from."""

    job: Digest
    results: Digest
    judgement: Digest


class Predicate(Frozen):
    """What was measured, where, by what, and how it came out."""

    label: LabelText
    system: str
    plan_hash: Digest = Field(alias="planHash")
    lock: Digest
    issued: Timestamp
    expires: Timestamp
    system_fingerprint: Digest = Field(alias="systemFingerprint")
    suite: Suite
    payload: Digest
    runtime: str | None = None
    kind: Literal["BASELINE", "COMPARED"]
    baseline: Digest | None
    verdict: Literal["PASS", "WAIVED"]
    cases: Mapping[str, str]
    waivers: tuple[Waiver, ...]
    earlier: Mapping[str, str]
    interrupted: Mapping[str, int]
    evidence: EvidenceDigests


class Statement(Frozen):
    """A certificate's payload."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, Subject, Subject]
    predicate_type: Literal["urn:stackwright:certificate:v1"] = Field(alias="predicateType")
    predicate: Predicate

    def to_json(self) -> bytes:
        """Return the canonical JSON that gets signed."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    @property
    def label(self) -> str:
        """The label that the statement is about."""
        return self.predicate.label

    @property
    def plan_hash(self) -> str:
        """The plan that the label stood for."""
        return self.predicate.plan_hash

    @property
    def digests(self) -> Digests:
        """The artefact's bytes that the statement speaks of."""
        return Digests(*(f"sha256:{subject.digest.sha256}" for subject in self.subject))


@dataclass(frozen=True)
class PlanFacts:
    """What only the plan, the job and the store know.

    Args:
        lock: digest of the lock.
        system_fingerprint: digest of the host's facts.
        payload: digest of the cases and probes.
        runtime: what ran the image; None where no case did.
        earlier: the verdicts of earlier validations of the same bytes by the same cases, by job:
            trying again until it passes is allowed, but seen.
        interrupted: how often runs of this validation were begun in vain.
    """

    lock: str
    system_fingerprint: str
    payload: str
    runtime: str | None = None
    earlier: Mapping[str, str] = field(default_factory=dict)
    interrupted: Mapping[str, int] = field(default_factory=dict)


def make_statement(
    built: Built,
    judgement: bytes,
    waivers: Sequence[Waiver],
    facts: PlanFacts,
    *,
    issued: datetime,
    expires: datetime,
) -> Statement:
    """State what ``judgement`` (the bytes of judgement.json) found out about ``built``.

    Only waivers that a case needs get into the statement.

    Raises:
        StackwrightError: if the judgement is about other bytes, or a case neither passed nor has
            an unexpired waiver, or the times are the wrong way round.
    """
    if expires <= issued:
        raise _refused(
            f"the certificate would expire on {timestamp(expires)}, before it is issued",
            hint="give a later date of expiry",
        )
    judged = Judged.read(judgement)
    _check_same_build(built, judged)
    cases = accepted_cases(judged, waivers, issued.date())
    return read_statement(
        canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": _subjects(built.label, built.digests),
                "predicateType": PREDICATE_TYPE,
                "predicate": {
                    "label": built.label,
                    "system": judged.system,
                    "planHash": built.plan_hash,
                    "lock": facts.lock,
                    "issued": timestamp(issued),
                    "expires": timestamp(expires),
                    "systemFingerprint": facts.system_fingerprint,
                    "suite": {"name": judged.suite.name, "digest": judged.suite.digest},
                    "payload": facts.payload,
                    "runtime": facts.runtime,
                    "kind": judged.kind,
                    "baseline": judged.arms.baseline and judged.arms.baseline.image,
                    "verdict": "WAIVED" if "WAIVED" in cases.values() else "PASS",
                    "cases": cases,
                    "waivers": [w.model_dump() for w in waivers if cases.get(w.case) == "WAIVED"],
                    "earlier": dict(facts.earlier),
                    "interrupted": dict(facts.interrupted),
                    "evidence": {
                        "job": judged.job,
                        "results": judged.results,
                        "judgement": hash_bytes(judgement),
                    },
                },
            }
        )
    )


def read_statement(payload: bytes) -> Statement:
    """Parse a certificate's payload.

    Raises:
        StackwrightError: another type of statement, unknown or missing keys, subjects that are
            not the three of the label.
    """
    value = parse(payload, "the certificate's statement")
    kind = value.get("predicateType") if isinstance(value, dict) else None
    if kind != PREDICATE_TYPE:
        raise _malformed(f"the statement is no certificate: its predicateType is {kind!r}")
    try:
        statement = Statement.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _malformed(f"the certificate is malformed: {place}: {first['msg']}") from None
    label = statement.predicate.label
    names = [subject.name for subject in statement.subject]
    if names != [f"{label} {part}" for part in PARTS]:
        raise _malformed(f"the certificate of {label} has other subjects: {', '.join(names)}")
    return statement


def _subjects(label: str, digests: Digests) -> list[dict[str, Any]]:
    return [
        {"name": f"{label} {part}", "digest": {"sha256": digest.removeprefix("sha256:")}}
        for part, digest in asdict(digests).items()
    ]


def _check_same_build(built: Built, judged: Judged) -> None:
    wanted = {"label": built.label, "plan": built.plan_hash, **asdict(built.digests)}
    arm = judged.arms.candidate
    ran = {
        "label": judged.label,
        "plan": arm.plan_hash,
        "image": arm.image,
        "squashfs": arm.squashfs,
        "prefix": arm.prefix,
    }
    for name, value in wanted.items():
        if ran[name] != value:
            raise _refused(
                f"the validation ran another {name}: {ran[name]}, not {value}",
                hint=f"validate this artefact: stackwright validate {built.label}",
            )


def _refused(what: str, hint: str) -> StackwrightError:
    return StackwrightError(what, hint=hint, code=ExitCode.FAIL)


def _malformed(what: str) -> StackwrightError:
    return StackwrightError(
        what, hint="make a new one: stackwright certify LABEL", code=ExitCode.INVALID
    )
