"""Verification: every way in which a certificate may not count has one clear line."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from certificate_samples import (
    BUILDER,
    CASES,
    ISSUED,
    LABEL,
    NOW,
    RELEASE,
    STRANGER,
    TRUSTED,
    artefact,
    certificate,
    digest,
    edited,
    expected,
)
from hypothesis import given
from hypothesis import strategies as st

from stackwright.certify import dsse
from stackwright.certify.acceptance import Waiver
from stackwright.certify.attest import attest_results
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.verify import Certificate, Expected, read_certificate, verify_certificate
from stackwright.cli import main
from stackwright.errors import ExitCode, StackwrightError

WAIVED = {CASES[0]: "PASS", CASES[1]: "WAIVED"}


def verify(envelope: bytes | None, want: Expected | None = None) -> Certificate:
    return verify_certificate(envelope, TRUSTED, want or expected(), now=NOW)


def refusal(envelope: bytes | None, want: Expected | None = None) -> StackwrightError:
    with pytest.raises(StackwrightError) as caught:
        verify(envelope, want)
    assert "\n" not in caught.value.what
    assert caught.value.hint
    return caught.value


def test_a_good_certificate_is_accepted() -> None:
    found = verify(certificate())
    assert found.key_id == RELEASE.public.id
    assert found.statement.label == LABEL
    assert not found.expired(NOW)


def test_missing(tmp_path: Path) -> None:
    assert refusal(None).what == "there is no certificate"
    assert refusal(b"").what == "there is no certificate"
    with pytest.raises(StackwrightError, match="cannot read the certificate: No such file"):
        read_certificate(tmp_path / "none.json")


def test_unsigned() -> None:
    envelope = json.dumps({**json.loads(certificate()), "signatures": []}).encode()
    assert refusal(envelope).what == "the certificate is unsigned"


def test_signed_by_an_unknown_key() -> None:
    error = refusal(certificate(key=STRANGER))
    assert error.what == (
        f"the certificate is signed by an unknown key ({STRANGER.public.id[:16]})"
    )
    assert error.code == ExitCode.INVALID


def test_signed_by_the_builder() -> None:
    error = refusal(certificate(key=BUILDER))
    assert error.what == "the certificate is signed by a builder's key, not by a release key"


def test_an_unknown_key_that_borrows_a_trusted_id() -> None:
    envelope = json.loads(certificate(key=STRANGER))
    envelope["signatures"][0]["keyid"] = RELEASE.public.id
    assert "tampered" in refusal(json.dumps(envelope).encode()).what


@given(data=st.data())
def test_any_changed_byte_of_the_payload_is_refused(data: st.DataObject) -> None:
    envelope = json.loads(CERTIFICATE)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    envelope["payload"] = base64.b64encode(payload).decode()
    assert "tampered" in refusal(json.dumps(envelope).encode()).what


CERTIFICATE = certificate()


@given(st.integers(0, len(CERTIFICATE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused_or_changes_nothing(place: int, bits: int) -> None:
    envelope = bytearray(CERTIFICATE)
    envelope[place] ^= bits
    try:
        found = verify(bytes(envelope))
    except StackwrightError:
        return
    # Only the key id, a hint, is outside the signature.
    assert found.statement == verify(CERTIFICATE).statement
    assert found.digest != verify(CERTIFICATE).digest


def test_another_predicate_type() -> None:
    results = attest_results(b"{}", b"", RELEASE)
    assert refusal(results).what == (
        "the statement is no certificate: its predicateType is 'urn:stackwright:results:v1'"
    )


def test_signed_text_that_is_no_statement() -> None:
    assert "predicateType is None" in refusal(dsse.sign(b"[]", RELEASE)).what


@pytest.mark.parametrize("part", ["image", "squashfs", "prefix"])
def test_another_digest(part: str) -> None:
    want = replace(expected(), digests=replace(artefact().digests, **{part: digest("rebuilt")}))
    error = refusal(certificate(), want)
    found = getattr(artefact().digests, part)
    assert error.what == f"the certificate is for another {part}: {found}, not {digest('rebuilt')}"


def test_another_label() -> None:
    other = artefact("pytorch/2.12.0-cpu@local")
    assert refusal(certificate(other)).what == (
        f"the certificate is for another label: pytorch/2.12.0-cpu@local, not {LABEL}"
    )


def test_another_system() -> None:
    want = replace(expected(), system="perlmutter")
    assert refusal(certificate(), want).what == (
        "the certificate is for another system: local, not perlmutter"
    )


def test_a_label_of_another_system_than_measured() -> None:
    want = replace(expected(), system="perlmutter")
    assert refusal(edited({"system": "perlmutter"}), want).what == (
        f"the certificate of {LABEL} is for system perlmutter"
    )


@pytest.mark.parametrize(
    ("field", "name"), [("plan_hash", "plan"), ("suite", "suite"), ("payload", "payload")]
)
def test_another_plan_suite_or_payload(field: str, name: str) -> None:
    error = refusal(certificate(), replace(expected(), **{field: digest("new")}))
    assert error.what.startswith(f"the certificate is for another {name}: ")


def test_expired() -> None:
    error = refusal(certificate(expires=NOW))
    assert error.what == "the certificate expired at 2026-11-20T20:00:00Z"
    assert error.code == ExitCode.FAIL
    verify(certificate(expires=NOW + timedelta(seconds=1)))


def test_not_yet_valid() -> None:
    error = refusal(certificate(issued=NOW + timedelta(seconds=1)))
    assert error.what == "the certificate is not valid before 2026-11-20T20:00:01Z"


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "HUNG", "SKIPPED", "pass", ""])
def test_a_failed_case(verdict: str) -> None:
    envelope = edited({"cases": {CASES[0]: "PASS", CASES[1]: verdict}})
    assert refusal(envelope).what == f"the case {CASES[1]!r} did not pass: {verdict}"


def test_an_absent_case() -> None:
    want = expected(cases=[*CASES, "cosmoflow.torchrun-2.image"])
    assert refusal(certificate(), want).what == (
        "the required case 'cosmoflow.torchrun-2.image' is absent from the certificate"
    )


def test_no_cases() -> None:
    assert "there are no cases" in refusal(edited({"cases": {}})).what


def test_a_suite_that_requires_nothing() -> None:
    assert refusal(certificate(), expected(cases=[])).what == "the suite requires no case"


@pytest.mark.parametrize("name", ["*", "gemm.*", "", "gemm?", "[a-z]"])
def test_a_wildcard_is_no_case(name: str) -> None:
    assert refusal(edited({"cases": {name: "PASS"}})).what == f"{name!r} is not the id of one case"
    waiver = {"case": name, "reason": "all of them", "expires": "2027-01-01"}
    assert refusal(edited({"waivers": [waiver]})).what == f"{name!r} is not the id of one case"


def test_a_waived_case() -> None:
    waiver = {"case": CASES[1], "reason": "known", "expires": NOW.date().isoformat()}
    verify(edited({"cases": WAIVED, "waivers": [waiver]}))


def test_a_waived_case_that_no_waiver_names() -> None:
    waiver = {"case": CASES[0], "reason": "known", "expires": "2027-01-01"}
    error = refusal(edited({"cases": WAIVED, "waivers": [waiver]}))
    assert error.what == f"the case {CASES[1]!r} is waived, but no waiver names it"


def test_an_expired_waiver() -> None:
    waiver = Waiver(case=CASES[1], reason="known", expires=ISSUED.date().isoformat())
    failed = {CASES[0]: "PASS", CASES[1]: "FAIL"}
    envelope = certificate(verdicts=failed, waivers=[waiver])
    verify(envelope)
    with pytest.raises(StackwrightError, match="expired on 2026-11-20"):
        verify_certificate(envelope, TRUSTED, expected(), now=NOW + timedelta(days=1))


def test_a_waiver_that_ends_too_long_after_the_issue() -> None:
    waiver = {"case": CASES[1], "reason": "known", "expires": "2027-02-19"}
    error = refusal(edited({"cases": WAIVED, "waivers": [waiver]}))
    assert error.what == (
        f"the waiver for {CASES[1]!r} ends on 2027-02-19, "
        "more than 90 days after the certificate's issue"
    )
    verify(edited({"cases": WAIVED, "waivers": [{**waiver, "expires": "2027-02-18"}]}))


def test_a_certificate_in_which_all_is_waived() -> None:
    waivers = [{"case": case, "reason": "known", "expires": "2026-12-01"} for case in CASES]
    error = refusal(edited({"cases": dict.fromkeys(CASES, "WAIVED"), "waivers": waivers}))
    assert error.what == "every case is waived, so nothing was shown"


def test_verifying_without_any_trusted_key_accepts_nothing() -> None:
    with pytest.raises(StackwrightError, match="unknown key"):
        verify_certificate(certificate(), TrustedKeys(release=()), expected(), now=NOW)


def test_a_file_is_not_verified_with_a_key_that_this_site_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    for folder in (elsewhere, *(site / name for name in ("stacks", "systems", "keys"))):
        folder.mkdir(parents=True)
    key = site / "keys" / "revoked-old.pub"
    key.write_bytes(RELEASE.public.pem)
    file = tmp_path / "certificate.json"
    now = datetime.now(timezone.utc)
    file.write_bytes(certificate(issued=now, expires=now + timedelta(days=1)))
    command = ["--no-color", "verify", str(file), "--key", str(key)]

    monkeypatch.chdir(elsewhere)
    assert main(command) == ExitCode.OK
    assert capsys.readouterr().err == ""
    monkeypatch.chdir(site)
    assert main(command) == ExitCode.INVALID
    assert f"error: {key}: this site revoked that key\n" in capsys.readouterr().err
