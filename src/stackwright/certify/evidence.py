"""Recomputing a certificate's verdicts from the run folder that it links to by hash."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_bytes, hash_value
from stackwright.certify.attest import check_interruptions, verify_results
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import PlanFacts, Statement, make_statement, moment
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, Location, StackwrightError

Rejudge = Callable[[bytes, bytes], Mapping[str, Any]]

# Two machines' libm may differ in the last bits of a logarithm; no bound is as sharp as this.
_RELATIVE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """A run folder, and the gate: ``rejudge(job.json, results.jsonl)`` gives the judgement."""

    folder: Path
    rejudge: Rejudge


def check_evidence(statement: Statement, evidence: Evidence, keys: TrustedKeys) -> None:
    """Check the evidence's hashes, its builder's signature, and every verdict drawn from it.

    Raises:
        StackwrightError: naming the file that is missing or differs, or what it disproves.
    """
    digests = statement.predicate.evidence
    job = _read(evidence.folder / "job.json", digests.job)
    results = _read(evidence.folder / "results.jsonl", digests.results)
    judgement = _read(evidence.folder / "judgement.json", digests.judgement)
    begun = verify_results(_read(evidence.folder / "results.dsse.json"), job, results, keys)
    check_interruptions(begun.in_vain)
    if not agree(evidence.rejudge(job, results), parse(judgement, "judgement.json")):
        raise _invalid("the results, judged again, give another judgement", evidence.folder)
    if _restate(statement, judgement, parse(job, "job.json"), begun.in_vain) != statement:
        raise _invalid("the certificate says other than its evidence", evidence.folder)


def agree(left: object, right: object) -> bool:
    """Compare JSON values; floats up to the rounding of another machine's libm."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(agree(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(agree, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=_RELATIVE, abs_tol=_RELATIVE)
    return type(left) is type(right) and left == right


def _restate(
    statement: Statement, judgement: bytes, job: Mapping[str, Any], interrupted: Mapping[str, int]
) -> Statement:
    """Make the statement that this judgement supports, for the artefact that the old one names."""
    predicate = statement.predicate
    return make_statement(
        statement,
        judgement,
        predicate.waivers,
        PlanFacts(
            lock=predicate.lock,
            system_fingerprint=hash_value(job["host"]),
            payload=job["payload"],
            runtime=job.get("runtime"),
            earlier=predicate.earlier,
            interrupted=interrupted,
        ),
        issued=moment(predicate.issued),
        expires=moment(predicate.expires),
    )


def _read(path: Path, digest: str | None = None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _invalid(f"cannot read the evidence: {error.strerror}", path) from error
    if digest is not None and hash_bytes(data) != digest:
        raise _invalid(
            f"the evidence was changed: {hash_bytes(data)}, certified was {digest}", path
        )
    return data


def _invalid(what: str, path: Path) -> StackwrightError:
    return StackwrightError(
        what,
        where=Location(path),
        hint="get the run folder from the store that made it, or validate again",
        code=ExitCode.INVALID,
    )
