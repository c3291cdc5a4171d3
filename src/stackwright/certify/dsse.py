"""DSSE envelopes: a payload, its type, and signatures over both.

Specification: https://github.com/secure-systems-lab/dsse (v1.0.2). Parsing is stricter than the
specification asks: one meaning per file leaves an attacker nothing to choose.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stackwright.canonical import canonical_json
from stackwright.certify.keys import PrivateKey, PublicKey
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, StackwrightError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 4 * 1024 * 1024
MAX_SIGNATURES = 16


@dataclass(frozen=True)
class Signature:
    """A DER signature; ``keyid`` is a hint that nothing authenticates."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope; nothing in it is to be believed before `signer_of` found a key."""

    payload: bytes
    signatures: tuple[Signature, ...]


class _SignatureFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    keyid: str = Field(max_length=256)
    sig: str = Field(max_length=1024)


class _EnvelopeFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    payload: str
    payloadType: str  # noqa: N815 - the name in the specification
    signatures: list[_SignatureFile] = Field(max_length=MAX_SIGNATURES)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key: PrivateKey) -> bytes:
    """Return the file's bytes: canonical JSON of an envelope with one signature."""
    signature = {"keyid": key.public.id, "sig": _encode(key.sign(pae(payload)))}
    return canonical_json(
        {"payload": _encode(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    )


def read(data: bytes, name: str) -> Envelope:
    """Parse an envelope of ours.

    Raises:
        StackwrightError: too large, unknown or missing keys, base64 that is not canonical,
            another payload type.
    """
    try:
        file = _EnvelopeFile.model_validate(parse(data, name, limit=MAX_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise _malformed(f"{name} is not a DSSE envelope: {place}: {first['msg']}") from None
    if file.payloadType != PAYLOAD_TYPE:
        raise _malformed(f"{name} has payloadType {file.payloadType!r}, not {PAYLOAD_TYPE!r}")
    return Envelope(
        _decode(file.payload, name),
        tuple(Signature(entry.keyid, _decode(entry.sig, name)) for entry in file.signatures),
    )


def signer_of(envelope: Envelope, keys: Iterable[PublicKey]) -> PublicKey | None:
    """Return the first of ``keys`` that made one of the signatures.

    Every key is tried on every signature, as the specification says: the key id decides nothing.
    """
    message = pae(envelope.payload)
    for key in keys:
        if any(key.verifies(signature.sig, message) for signature in envelope.signatures):
            return key
    return None


def _encode(data: bytes) -> str:
    return base64.standard_b64encode(data).decode("ascii")


def _decode(text: str, name: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = None
    # Unused bits of the last character decode to the same bytes: only one spelling is accepted.
    if data is None or _encode(data) != text:
        raise _malformed(f"{name} has base64 that is not canonical")
    return data


def _malformed(what: str) -> StackwrightError:
    return StackwrightError(
        what, hint="make a new one: stackwright certify LABEL", code=ExitCode.INVALID
    )
