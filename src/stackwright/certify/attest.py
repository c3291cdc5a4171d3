"""The builder's signature over one validation: these results answer this job.

`results.dsse.json` holds an in-toto Statement whose subjects are the two files.
"""

from __future__ import annotations

from typing import Any

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify import dsse
from stackwright.certify.keys import PrivateKey, TrustedKeys
from stackwright.certify.statement import STATEMENT_TYPE
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, StackwrightError

PREDICATE_TYPE = "urn:stackwright:results:v1"


def attest_results(job: bytes, results: bytes, key: PrivateKey) -> bytes:
    """Return the envelope that binds job.json to results.jsonl, signed with the builder's key."""
    return attest_digest(job, hash_bytes(results), key)


def attest_digest(job: bytes, results: str, key: PrivateKey) -> bytes:
    """As :func:`attest_results`, of results by their hash."""
    return dsse.sign(canonical_json(_statement(job, results)), key)


def verify_results(envelope: bytes, job: bytes, results: bytes, keys: TrustedKeys) -> None:
    """Check that a builder's key signed exactly these two files.

    Raises:
        StackwrightError: signed by no builder's key, or about other bytes.
    """
    parsed = dsse.read(envelope, "results.dsse.json")
    if dsse.signer_of(parsed, keys.builder) is None:
        raise _invalid("results.dsse.json is not signed by a trusted builder's key")
    if parse(parsed.payload, "the results' statement") != _statement(job, hash_bytes(results)):
        raise _invalid("results.dsse.json was signed for another job.json or results.jsonl")


def _statement(job: bytes, results: str) -> dict[str, Any]:
    files = {"job.json": hash_bytes(job), "results.jsonl": results}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
            for name, digest in files.items()
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"job": hash_bytes(job), "results": results},
    }


def _invalid(what: str) -> StackwrightError:
    return StackwrightError(
        what, hint="measure again: stackwright validate LABEL", code=ExitCode.INVALID
    )
