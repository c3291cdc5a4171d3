"""The builder's word: these results answer this job."""

from __future__ import annotations

import json

import pytest
from certificate_samples import BUILDER, RELEASE, TRUSTED, artefact, certificate, job, results
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement as OfficialStatement
from in_toto_attestation.v1.statement_pb2 import Statement as OfficialMessage

from stackwright.canonical import hash_bytes
from stackwright.certify import dsse
from stackwright.certify.attest import (
    Begun,
    attest_digest,
    attest_results,
    check_interruptions,
    verify_results,
)
from stackwright.certify.keys import PrivateKey
from stackwright.errors import StackwrightError

JOB, RESULTS = job(artefact()), results()


def attest(key: PrivateKey = BUILDER) -> bytes:
    return attest_results(JOB, RESULTS, key)


def test_the_builders_signature_binds_results_to_their_job() -> None:
    verify_results(attest(), JOB, RESULTS, TRUSTED)


def test_the_official_package_accepts_the_attestation() -> None:
    payload = dsse.read(attest(), "it").payload
    message = ParseDict(json.loads(payload), OfficialMessage())
    OfficialStatement.copy_from_pb(message).validate()


@pytest.mark.parametrize(("job_", "results_"), [(JOB + b" ", RESULTS), (JOB, RESULTS + b"\n")])
def test_other_bytes_are_refused(job_: bytes, results_: bytes) -> None:
    with pytest.raises(StackwrightError, match=r"for another job.json or results.jsonl"):
        verify_results(attest(), job_, results_, TRUSTED)


def test_the_release_key_cannot_vouch_for_results() -> None:
    with pytest.raises(StackwrightError, match="not signed by a trusted builder's key"):
        verify_results(attest(RELEASE), JOB, RESULTS, TRUSTED)


def test_a_certificate_is_no_attestation() -> None:
    with pytest.raises(StackwrightError, match="does not say what was begun"):
        verify_results(certificate(key=BUILDER), JOB, RESULTS, TRUSTED)


def test_what_was_begun_in_vain_is_signed_with_the_results() -> None:
    begun = Begun(running="speed candidate #3", interrupted={"speed candidate #3": 1, "sums": 1})
    envelope = attest_digest(JOB, hash_bytes(RESULTS), BUILDER, begun)

    found = verify_results(envelope, JOB, RESULTS, TRUSTED)

    assert found == begun
    assert found.in_vain == {"speed candidate #3": 2, "sums": 1}


def test_a_reboot_is_forgiven_and_a_choice_is_not() -> None:
    check_interruptions({"sums": 1, "speed candidate #3": 1})
    with pytest.raises(StackwrightError, match="speed candidate #3 was interrupted 2 times"):
        check_interruptions({"sums": 1, "speed candidate #3": 2})


def test_to_choose_of_many_runs_once_each_is_a_choice() -> None:
    with pytest.raises(StackwrightError, match="interrupted 3 times: sums, speed, gemm"):
        check_interruptions({"sums": 1, "speed": 1, "gemm": 1})
