"""The builder's word: these results answer this job."""

from __future__ import annotations

import json

import pytest
from certificate_samples import BUILDER, RELEASE, TRUSTED, artefact, certificate, job, results
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement as OfficialStatement
from in_toto_attestation.v1.statement_pb2 import Statement as OfficialMessage

from stackwright.certify import dsse
from stackwright.certify.attest import attest_results, verify_results
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
    with pytest.raises(StackwrightError, match=r"for another job.json"):
        verify_results(certificate(key=BUILDER), JOB, RESULTS, TRUSTED)
