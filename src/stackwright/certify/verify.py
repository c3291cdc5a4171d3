"""Checking a certificate: offline, from its bytes and the public keys one trusts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NoReturn

from stackwright.canonical import hash_bytes
from stackwright.certify import dsse
from stackwright.certify.acceptance import check_cases
from stackwright.certify.artefact import Artefact, Digests
from stackwright.certify.evidence import Evidence, check_evidence
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import Statement, moment, read_statement
from stackwright.errors import ExitCode, Location, StackwrightError


@dataclass(frozen=True)
class Expected:
    """What a certificate has to be about, and every case that it must hold."""

    label: str
    system: str
    plan_hash: str
    digests: Digests
    suite: str
    payload: str
    required_cases: frozenset[str]

    @classmethod
    def of(
        cls,
        artefact: Artefact,
        *,
        system: str,
        suite: str,
        payload: str,
        required_cases: frozenset[str],
    ) -> Expected:
        """Expect a certificate for ``artefact``; ``suite`` and ``payload`` are digests."""
        return cls(
            label=artefact.label,
            system=system,
            plan_hash=artefact.plan_hash,
            digests=artefact.digests,
            suite=suite,
            payload=payload,
            required_cases=required_cases,
        )


@dataclass(frozen=True)
class Certificate:
    """A statement that a trusted release key signed, and the envelope's bytes."""

    statement: Statement
    key_id: str
    envelope: bytes

    @property
    def digest(self) -> str:
        """The hash of the envelope's file, by which the store names it."""
        return hash_bytes(self.envelope)

    def expired(self, now: datetime) -> bool:
        """Say whether the time of the certificate is over."""
        return now >= moment(self.statement.predicate.expires)

    def lapsed_waivers(self, day: date) -> tuple[str, ...]:
        """Return the cases whose waiver no longer counts."""
        predicate = self.statement.predicate
        return tuple(waiver.case for waiver in predicate.waivers if not waiver.covers(day))


def read_certificate(path: Path) -> bytes:
    """Read a certificate's file.

    Raises:
        StackwrightError: it is missing or larger than an envelope may be.
    """
    try:
        with path.open("rb") as file:
            return file.read(dsse.MAX_BYTES + 1)
    except OSError as error:
        raise StackwrightError(
            f"cannot read the certificate: {error.strerror}",
            where=Location(path),
            hint="make one with: stackwright certify LABEL",
        ) from error


def open_certificate(envelope: bytes | None, keys: TrustedKeys) -> Certificate:
    """Check the signature and the form; what the statement says is then the release key's word.

    Raises:
        StackwrightError: missing, unsigned, signed by another key than a release key, tampered
            with, or not a certificate.
    """
    if not envelope:
        raise StackwrightError(
            "there is no certificate", hint="stackwright certify LABEL", code=ExitCode.FAIL
        )
    parsed = dsse.read(envelope, "the certificate")
    signer = dsse.signer_of(parsed, keys.release)
    if signer is None:
        _explain_signature(parsed, keys)
    return Certificate(read_statement(parsed.payload), signer.id, envelope)


def verify_certificate(
    envelope: bytes | None,
    keys: TrustedKeys,
    expected: Expected,
    *,
    now: datetime,
    evidence: Evidence | None = None,
) -> Certificate:
    """Check everything that a release depends on; with ``evidence``, recompute the verdicts too.

    Raises:
        StackwrightError: one line for the first thing that is wrong.
    """
    certificate = open_certificate(envelope, keys)
    check_subject(certificate, expected)
    check_dates(certificate, now)
    predicate = certificate.statement.predicate
    check_cases(
        predicate.cases,
        predicate.waivers,
        expected.required_cases,
        issued=moment(predicate.issued).date(),
        day=now.date(),
    )
    if evidence is not None:
        check_evidence(certificate.statement, evidence, keys)
    return certificate


def check_subject(certificate: Certificate, expected: Expected) -> None:
    """Check that the certificate is about these bytes, on this system, by these cases.

    Raises:
        StackwrightError: naming what differs.
    """
    predicate = certificate.statement.predicate
    wanted = {
        "label": expected.label,
        "system": expected.system,
        "plan": expected.plan_hash,
        "suite": expected.suite,
        "payload": expected.payload,
        **asdict(expected.digests),
    }
    found = {
        "label": predicate.label,
        "system": predicate.system,
        "plan": predicate.plan_hash,
        "suite": predicate.suite.digest,
        "payload": predicate.payload,
        **asdict(certificate.statement.digests),
    }
    for name, value in wanted.items():
        if found[name] != value:
            raise _refused(f"the certificate is for another {name}: {found[name]}, not {value}")
    if not predicate.label.endswith(f"@{predicate.system}"):
        raise _refused(f"the certificate of {predicate.label} is for system {predicate.system}")


def check_dates(certificate: Certificate, now: datetime) -> None:
    """Check that the certificate is in force.

    Raises:
        StackwrightError: issued later than ``now``, or expired.
    """
    predicate = certificate.statement.predicate
    if now < moment(predicate.issued):
        raise _refused(f"the certificate is not valid before {predicate.issued}")
    if certificate.expired(now):
        raise _refused(f"the certificate expired at {predicate.expires}")


def _explain_signature(envelope: dsse.Envelope, keys: TrustedKeys) -> NoReturn:
    if not envelope.signatures:
        raise _untrusted("the certificate is unsigned")
    if dsse.signer_of(envelope, keys.builder) is not None:
        raise _untrusted("the certificate is signed by a builder's key, not by a release key")
    claimed = [signature.keyid for signature in envelope.signatures]
    if any(key.id in claimed for key in (*keys.release, *keys.builder)):
        raise _untrusted("the certificate was tampered with: its signature does not fit its text")
    raise _untrusted(f"the certificate is signed by an unknown key ({claimed[0][:16] or 'no id'})")


def _untrusted(what: str) -> StackwrightError:
    return StackwrightError(
        what,
        hint="get the certificate from the store, or the key's .pub file from who signs releases",
        code=ExitCode.INVALID,
    )


def _refused(what: str) -> StackwrightError:
    return StackwrightError(
        what,
        hint="stackwright validate LABEL && stackwright certify LABEL",
        code=ExitCode.FAIL,
    )
