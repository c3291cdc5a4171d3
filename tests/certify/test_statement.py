"""Statements: made from a judgement that lets a release through, and from no other."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from certificate_samples import (
    CASES,
    EXPIRES,
    FACTS,
    ISSUED,
    LABEL,
    SUITE,
    artefact,
    digest,
    judgement,
    statement,
)
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement as OfficialStatement
from in_toto_attestation.v1.statement_pb2 import Statement as OfficialMessage

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.acceptance import Waiver
from stackwright.certify.statement import PlanFacts, Statement, make_statement, read_statement
from stackwright.errors import StackwrightError

SLOW = {CASES[0]: "PASS", CASES[1]: "FAIL"}
WAIVER = Waiver(case=CASES[1], reason="known regression in MKL", expires="2026-12-01")


def make(judged: bytes, *waivers: Waiver) -> Statement:
    return make_statement(artefact(), judged, waivers, FACTS, issued=ISSUED, expires=EXPIRES)


def test_a_statement_says_what_the_format_promises() -> None:
    judged = judgement(artefact())
    assert json.loads(statement().to_json()) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": f"{LABEL} image", "digest": {"sha256": digest(f"{LABEL} image")[7:]}},
            {"name": f"{LABEL} squashfs", "digest": {"sha256": digest(f"{LABEL} squashfs")[7:]}},
            {"name": f"{LABEL} prefix", "digest": {"sha256": digest(f"{LABEL} prefix")[7:]}},
        ],
        "predicateType": "urn:stackwright:certificate:v1",
        "predicate": {
            "label": LABEL,
            "system": "local",
            "planHash": digest(f"{LABEL} plan"),
            "lock": digest("lock"),
            "issued": "2026-11-20T19:50:00Z",
            "expires": "2027-05-19T20:00:00Z",
            "systemFingerprint": FACTS.system_fingerprint,
            "suite": {"name": "certify", "digest": SUITE},
            "payload": digest("payload"),
            "runtime": "podman",
            "kind": "BASELINE",
            "baseline": None,
            "verdict": "PASS",
            "cases": dict.fromkeys(CASES, "PASS"),
            "waivers": [],
            "earlier": {},
            "interrupted": {},
            "evidence": {
                "job": json.loads(judged)["job"],
                "results": json.loads(judged)["results"],
                "judgement": hash_bytes(judged),
            },
        },
    }


def test_the_official_package_accepts_a_statement() -> None:
    message = ParseDict(json.loads(statement().to_json()), OfficialMessage())
    OfficialStatement.copy_from_pb(message).validate()


def test_reading_gives_back_what_was_written() -> None:
    assert read_statement(statement().to_json()) == statement()


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "UNAVAILABLE", "HUNG", "INVALID"])
def test_a_case_that_did_not_pass_makes_no_statement(verdict: str) -> None:
    judged = judgement(artefact(), {CASES[0]: "PASS", CASES[1]: verdict}, verdict="PASS")
    with pytest.raises(StackwrightError, match=f"{CASES[1]}' did not pass: {verdict}"):
        make(judged)


def test_a_waiver_by_name_lets_a_failed_case_through() -> None:
    predicate = make(judgement(artefact(), SLOW), WAIVER).predicate
    assert predicate.verdict == "WAIVED"
    assert predicate.cases == {CASES[0]: "PASS", CASES[1]: "WAIVED"}
    assert predicate.waivers == (WAIVER,)


def test_a_waiver_that_nothing_needs_is_left_out() -> None:
    predicate = make(judgement(artefact()), WAIVER).predicate
    assert (predicate.verdict, predicate.waivers) == ("PASS", ())


def test_a_waiver_counts_on_its_last_day_and_not_after() -> None:
    last = WAIVER.model_copy(update={"expires": ISSUED.date().isoformat()})
    assert make(judgement(artefact(), SLOW), last).predicate.verdict == "WAIVED"
    past = (ISSUED - timedelta(days=1)).date().isoformat()
    with pytest.raises(StackwrightError, match=f"the waiver for .* expired on {past}"):
        make(judgement(artefact(), SLOW), WAIVER.model_copy(update={"expires": past}))


@pytest.mark.parametrize("verdict", ["HUNG", "INVALID"])
def test_no_waiver_covers_a_case_that_measured_nothing(verdict: str) -> None:
    with pytest.raises(StackwrightError, match=f"{verdict}, which nothing can waive"):
        make(judgement(artefact(), {CASES[0]: "PASS", CASES[1]: verdict}), WAIVER)


@pytest.mark.parametrize("name", ["*", "gemm.*", "gemm", ""])
def test_a_waiver_names_one_case_in_full(name: str) -> None:
    waiver = WAIVER.model_copy(update={"case": name})
    with pytest.raises(StackwrightError, match="names no case of this judgement"):
        make(judgement(artefact(), SLOW), waiver)


def test_a_misspelt_waiver_leads_to_the_case() -> None:
    waiver = WAIVER.model_copy(update={"case": WAIVER.case[:-1]})
    with pytest.raises(StackwrightError, match=rf"\(did you mean '{WAIVER.case}'\?\)$"):
        make(judgement(artefact(), SLOW), waiver)


def test_a_judgement_waives_nothing_itself() -> None:
    judged = judgement(artefact(), {CASES[0]: "PASS", CASES[1]: "WAIVED"}, verdict="WAIVED")
    with pytest.raises(StackwrightError, match="did not pass: WAIVED"):
        make(judged, WAIVER)


def test_a_waiver_never_covers_a_failed_check() -> None:
    judged = json.loads(judgement(artefact(), SLOW))
    checks = [{"name": "sums_exact", "ok": True}, {"name": "mean_gradient", "ok": False}]
    judged["cases"][1]["checks"] = checks
    with pytest.raises(
        StackwrightError,
        match=f"'{CASES[1]}' failed its check 'mean_gradient': .* never being wrong",
    ):
        make(canonical_json(judged), WAIVER)


def test_a_waiver_ends_within_ninety_days_of_the_issue() -> None:
    latest = WAIVER.model_copy(update={"expires": "2027-02-18"})
    assert make(judgement(artefact(), SLOW), latest).predicate.verdict == "WAIVED"
    later = WAIVER.model_copy(update={"expires": "2027-02-19"})
    with pytest.raises(StackwrightError, match="ends on 2027-02-19, more than 90 days") as caught:
        make(judgement(artefact(), SLOW), WAIVER, later)
    assert caught.value.hint == "let it end by 2027-02-18, then: stackwright certify LABEL"


def test_a_suite_that_is_waived_as_a_whole_makes_no_statement() -> None:
    waivers = [WAIVER.model_copy(update={"case": case}) for case in CASES]
    judged = judgement(artefact(), dict.fromkeys(CASES, "INCONCLUSIVE"))
    with pytest.raises(StackwrightError, match="every case is waived, so nothing was shown"):
        make(judged, *waivers)


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "WAIVED", "GREEN", ""])
def test_a_suite_that_failed_for_its_own_reason_makes_no_statement(verdict: str) -> None:
    judged = judgement(artefact(), verdict=verdict)
    with pytest.raises(StackwrightError, match="no case accounts for it"):
        make(judged)


def test_a_suite_that_failed_harder_than_its_waived_cases_makes_no_statement() -> None:
    judged = judgement(artefact(), {CASES[0]: "PASS", CASES[1]: "INCONCLUSIVE"}, verdict="FAIL")
    with pytest.raises(StackwrightError, match="the verdict is FAIL, and no case accounts for it"):
        make(judged, WAIVER)


def test_no_cases_make_no_statement() -> None:
    with pytest.raises(StackwrightError, match="there are no cases"):
        make(judgement(artefact(), cases=[]))


def test_a_repeated_case_makes_no_statement() -> None:
    case = {"id": CASES[0], "verdict": "PASS", "checks": []}
    with pytest.raises(StackwrightError, match=f"{CASES[0]}' occurs twice"):
        make(judgement(artefact(), cases=[case, case]))


@pytest.mark.parametrize("part", ["image", "squashfs", "prefix"])
def test_a_judgement_of_other_bytes_makes_no_statement(part: str) -> None:
    judged = json.loads(judgement(artefact()))
    judged["arms"]["candidate"][part] = digest("other")
    with pytest.raises(StackwrightError, match=f"the validation ran another {part}"):
        make(canonical_json(judged))


def test_a_judgement_of_another_plan_makes_no_statement() -> None:
    judged = json.loads(judgement(artefact()))
    judged["arms"]["candidate"]["plan_hash"] = digest("other")
    with pytest.raises(StackwrightError, match="the validation ran another plan"):
        make(canonical_json(judged))


def test_a_judgement_of_another_label_makes_no_statement() -> None:
    with pytest.raises(StackwrightError, match="the validation ran another label"):
        make(judgement(artefact(), label="pytorch/2.12.0-cpu@local"))


def test_text_that_is_no_judgement_makes_no_statement() -> None:
    with pytest.raises(StackwrightError, match=r"judgement.json is malformed: schema"):
        make(judgement(artefact(), schema="stackwright/run/1"))


def test_a_certificate_cannot_expire_before_it_is_issued() -> None:
    with pytest.raises(StackwrightError, match="before it is issued"):
        statement(expires=ISSUED)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("issued", "2026-11-20"),
        ("issued", "2026-11-20T19:50:00+01:00"),
        ("issued", "2026-1-2T19:50:00Z"),
        ("issued", 1795204200),
        ("expires", "never"),
        ("planHash", "sha256:abc"),
        ("lock", None),
        ("kind", "NEW"),
        ("verdict", "FAIL"),
        ("waivers", [{"case": "a", "reason": "", "expires": "2027-01-01"}]),
        ("waivers", [{"case": "a", "reason": "b", "expires": "20270101"}]),
        ("note", "extra"),
    ],
)
def test_a_malformed_predicate_is_refused(place: str, value: object) -> None:
    text = json.loads(statement().to_json())
    text["predicate"][place] = value
    with pytest.raises(StackwrightError, match=f"malformed: predicate.{place}"):
        read_statement(canonical_json(text))


def test_subjects_are_the_three_parts_of_the_label() -> None:
    text = json.loads(statement().to_json())
    text["subject"][0]["name"] = "tensorflow/2.20.0-cpu@local image"
    with pytest.raises(StackwrightError, match="has other subjects: tensorflow"):
        read_statement(canonical_json(text))


def test_earlier_attempts_are_in_the_certificate() -> None:
    tried = {"20261120T190000Z-0a1b2c3d": "FAIL", "20261120T191500Z-1b2c3d4e": "UNFINISHED"}
    facts = PlanFacts(FACTS.lock, FACTS.system_fingerprint, FACTS.payload, FACTS.runtime, tried)
    made = make_statement(
        artefact(), judgement(artefact()), (), facts, issued=ISSUED, expires=EXPIRES
    )
    assert made.predicate.earlier == tried
