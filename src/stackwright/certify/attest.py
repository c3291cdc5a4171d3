"""The builder's signature over one validation: these results answer this job.

`results.dsse.json` holds an in-toto Statement whose subjects are the two files. It also says how
often a run was begun and left no result: who stops what goes badly chooses the outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify import dsse
from stackwright.certify.keys import PrivateKey, TrustedKeys
from stackwright.certify.statement import STATEMENT_TYPE
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, StackwrightError

PREDICATE_TYPE = "urn:stackwright:results:v1"
MAX_INTERRUPTIONS = 1
"""How often one run may be begun in vain: a reboot happens, but seldom twice in the same run."""

MAX_INTERRUPTIONS_IN_ALL = 2
"""How often all runs of a job together may be: one for each would be a choice of each."""


@dataclass(frozen=True)
class Begun:
    """What was begun, by names of runs such as ``gradients.torchrun-2.image candidate #0``.

    Args:
        running: the run that was begun last and has no result yet; empty if each has one.
        interrupted: how often runs were begun in vain before.
    """

    running: str = ""
    interrupted: Mapping[str, int] = field(default_factory=dict)

    @property
    def in_vain(self) -> dict[str, int]:
        """How often runs were begun in vain, if ``running`` is no longer under way."""
        counts = Counter(self.interrupted)
        if self.running:
            counts[self.running] += 1
        return dict(counts)


def attest_results(job: bytes, results: bytes, key: PrivateKey) -> bytes:
    """Return the envelope that binds job.json to results.jsonl, signed with the builder's key."""
    return attest_digest(job, hash_bytes(results), key)


def attest_digest(job: bytes, results: str, key: PrivateKey, begun: Begun | None = None) -> bytes:
    """As :func:`attest_results`, of results by their hash."""
    return dsse.sign(canonical_json(_statement(job, results, begun or Begun())), key)


def check_interruptions(in_vain: Mapping[str, int]) -> None:
    """Refuse results of which somebody may have taken what he liked.

    Raises:
        StackwrightError: one run, or all together, were begun in vain more often than chance
            explains.
    """
    for name, count in in_vain.items():
        if count > MAX_INTERRUPTIONS:
            raise _interrupted(f"{name} was interrupted {count} times before it had a result")
    if (total := sum(in_vain.values())) > MAX_INTERRUPTIONS_IN_ALL:
        raise _interrupted(f"the validation was interrupted {total} times: {', '.join(in_vain)}")


def verify_results(envelope: bytes, job: bytes, results: bytes, keys: TrustedKeys) -> Begun:
    """Check that a builder's key signed exactly these two files, and say what was begun.

    Raises:
        StackwrightError: signed by no builder's key, or about other bytes.
    """
    parsed = dsse.read(envelope, "results.dsse.json")
    if dsse.signer_of(parsed, keys.builder) is None:
        raise _invalid("results.dsse.json is not signed by a trusted builder's key")
    found = parse(parsed.payload, "the results' statement")
    try:
        begun = Begun(**found["predicate"]["begun"])
    except (KeyError, TypeError) as error:
        raise _invalid("results.dsse.json does not say what was begun") from error
    if found != _statement(job, hash_bytes(results), begun):
        raise _invalid("results.dsse.json was signed for another job.json or results.jsonl")
    return begun


def _statement(job: bytes, results: str, begun: Begun) -> dict[str, Any]:
    files = {"job.json": hash_bytes(job), "results.jsonl": results}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
            for name, digest in files.items()
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"job": hash_bytes(job), "results": results, "begun": asdict(begun)},
    }


def _interrupted(what: str) -> StackwrightError:
    return StackwrightError(
        what,
        hint="measure anew, without interruptions: stackwright validate LABEL --fresh",
        code=ExitCode.FAIL,
    )


def _invalid(what: str) -> StackwrightError:
    return StackwrightError(
        what, hint="measure again: stackwright validate LABEL", code=ExitCode.INVALID
    )
