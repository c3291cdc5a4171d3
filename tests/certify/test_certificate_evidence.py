"""Evidence: a certificate stands only on files that still say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certificate_samples import (
    BUILDER,
    CASES,
    NOW,
    RELEASE,
    STRANGER,
    TRUSTED,
    artefact,
    certificate,
    digest,
    edited,
    expected,
    job,
    judge,
    judgement,
    results,
    write_run,
)
from hypothesis import given
from hypothesis import strategies as st

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.attest import attest_results
from stackwright.certify.evidence import Evidence, agree
from stackwright.certify.verify import verify_certificate
from stackwright.errors import ExitCode, StackwrightError

SLOW = {CASES[0]: "PASS", CASES[1]: "FAIL"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", artefact())


def verify(run: Path, envelope: bytes | None = None) -> None:
    evidence = Evidence(run, judge)
    verify_certificate(envelope or certificate(), TRUSTED, expected(), now=NOW, evidence=evidence)


def refusal(run: Path, envelope: bytes | None = None) -> str:
    with pytest.raises(StackwrightError) as caught:
        verify(run, envelope)
    assert caught.value.code == ExitCode.INVALID
    return str(caught.value)


def test_evidence_that_bears_the_certificate_out(run: Path) -> None:
    verify(run)


@pytest.mark.parametrize("name", ["job.json", "results.jsonl", "judgement.json"])
def test_a_changed_file(run: Path, name: str) -> None:
    with (run / name).open("ab") as file:
        file.write(b" ")
    assert refusal(run).startswith(f"{run}/{name}: the evidence was changed")


@pytest.mark.parametrize(
    "name", ["job.json", "results.jsonl", "judgement.json", "results.dsse.json"]
)
def test_a_missing_file(run: Path, name: str) -> None:
    (run / name).unlink()
    assert refusal(run) == f"{run}/{name}: cannot read the evidence: No such file or directory"


@pytest.mark.parametrize("key", [RELEASE, STRANGER])
def test_results_that_no_builder_signed(run: Path, key: object) -> None:
    (run / "results.dsse.json").write_bytes(attest_results(job(artefact()), results(), key))
    assert refusal(run) == "results.dsse.json is not signed by a trusted builder's key"


def test_another_runs_signature(run: Path) -> None:
    (run / "results.dsse.json").write_bytes(attest_results(job(artefact()), b"", BUILDER))
    assert "signed for another" in refusal(run)


def test_a_judgement_that_the_results_do_not_support(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", artefact(), SLOW)
    bent = canonical_json(judge(job(artefact()), results(SLOW)) | {"verdict": "PASS", "cases": []})
    (run / "judgement.json").write_bytes(bent)
    digests = {
        "job": hash_bytes(job(artefact())),
        "results": hash_bytes(results(SLOW)),
        "judgement": hash_bytes(bent),
    }
    assert refusal(run, edited({"evidence": digests})) == (
        f"{run}: the results, judged again, give another judgement"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"systemFingerprint": digest("other machine")},
        {"kind": "COMPARED"},
        {"runtime": "charliecloud"},
        {"suite": {"name": "smoke", "digest": expected().suite}},
        {"cases": dict.fromkeys([*CASES, "cosmoflow.none-1.image"], "PASS")},
    ],
)
def test_a_certificate_that_says_more_than_its_evidence(run: Path, change: dict[str, str]) -> None:
    assert refusal(run, edited(change)) == f"{run}: the certificate says other than its evidence"


def test_a_waiver_over_a_failed_check_in_a_signed_certificate(run: Path) -> None:
    judged = json.loads(judgement(artefact(), SLOW))
    judged["cases"][1]["checks"] = [{"name": "sums_exact", "ok": False}]
    (run / "results.jsonl").write_bytes(results(SLOW))
    (run / "judgement.json").write_bytes(canonical_json(judged))
    (run / "results.dsse.json").write_bytes(attest_results(job(artefact()), results(SLOW), BUILDER))
    files = {
        name: hash_bytes((run / file).read_bytes())
        for name, file in (
            ("job", "job.json"),
            ("results", "results.jsonl"),
            ("judgement", "judgement.json"),
        )
    }
    envelope = edited(
        {
            "verdict": "WAIVED",
            "cases": {CASES[0]: "PASS", CASES[1]: "WAIVED"},
            "waivers": [{"case": CASES[1], "reason": "known", "expires": "2026-12-01"}],
            "evidence": files,
        }
    )
    evidence = Evidence(run, lambda _job, _results: judged)
    with pytest.raises(StackwrightError, match="failed its check 'sums_exact'"):
        verify_certificate(envelope, TRUSTED, expected(), now=NOW, evidence=evidence)


def test_a_failure_in_the_evidence_that_the_certificate_hides(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", artefact(), SLOW)
    digests = {
        "job": hash_bytes(job(artefact())),
        "results": hash_bytes(results(SLOW)),
        "judgement": hash_bytes(judgement(artefact(), SLOW)),
    }
    with pytest.raises(StackwrightError, match=f"{CASES[1]}' did not pass: FAIL"):
        verify(run, edited({"evidence": digests}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
)


@given(JSON)
def test_a_judgement_agrees_with_itself_read_again(value: object) -> None:
    assert agree(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.3, 0.3 + 1e-6, False),
        (1, True, False),
        (1, 1.0, False),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": [0.5]}, {"a": [0.5]}, True),
        ("PASS", "FAIL", False),
    ],
)
def test_judgements_differ_by_more_than_rounding(left: object, right: object, same: bool) -> None:
    assert agree(left, right) is same
