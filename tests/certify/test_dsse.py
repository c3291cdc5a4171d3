"""Envelopes: what we sign others verify, and only one spelling of an envelope is read."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import BUILDER, RELEASE, STRANGER
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer import SSlibKey

from stackwright.certify import dsse
from stackwright.errors import StackwrightError

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
ENVELOPE = dsse.sign(PAYLOAD, RELEASE)


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(ENVELOPE), **changes}).encode()


def test_the_encoding_is_that_of_the_specification() -> None:
    # The example of the specification, protocol.md.
    encoded = dsse.pae(b"hello world", "http://example.com/HelloWorld")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_openssl_alone_verifies_an_envelope(tmp_path: Path) -> None:
    envelope = json.loads(ENVELOPE)
    (tmp_path / "pub").write_bytes(RELEASE.public.pem)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "pae").write_bytes(dsse.pae(base64.b64decode(envelope["payload"])))
    verify = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "pae"]
    done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Verified OK\n"
    (tmp_path / "pae").write_bytes(dsse.pae(PAYLOAD + b" "))
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_securesystemslib_verifies_an_envelope() -> None:
    key = SSlibKey.from_crypto(load_pem_public_key(RELEASE.public.pem), keyid=RELEASE.public.id)
    other = OtherEnvelope.from_dict(json.loads(ENVELOPE))
    assert other.verify([key], threshold=1)


def test_the_signer_is_found_whatever_the_key_id_claims() -> None:
    (signature,) = json.loads(ENVELOPE)["signatures"]
    envelope = dsse.read(changed(signatures=[signature | {"keyid": ""}]), "it")
    assert dsse.signer_of(envelope, [BUILDER.public, RELEASE.public]) == RELEASE.public
    assert dsse.signer_of(envelope, [BUILDER.public]) is None


def test_one_trusted_signature_among_others_is_enough() -> None:
    signatures = [
        *json.loads(dsse.sign(PAYLOAD, STRANGER))["signatures"],
        *json.loads(ENVELOPE)["signatures"],
    ]
    envelope = dsse.read(changed(signatures=signatures), "it")
    assert dsse.signer_of(envelope, [RELEASE.public]) == RELEASE.public


@given(data=st.data())
def test_a_changed_byte_of_the_payload_has_no_signer(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(PAYLOAD) - 1))
    bits = data.draw(st.integers(1, 255))
    payload = bytearray(PAYLOAD)
    payload[place] ^= bits
    envelope = dsse.read(changed(payload=base64.b64encode(payload).decode()), "it")
    assert dsse.signer_of(envelope, [RELEASE.public]) is None


def test_the_signature_covers_the_payload_type() -> None:
    message = dsse.pae(PAYLOAD, "text/plain")
    forged = base64.b64encode(RELEASE.sign(message)).decode()
    envelope = dsse.read(changed(signatures=[{"keyid": "", "sig": forged}]), "it")
    assert dsse.signer_of(envelope, [RELEASE.public]) is None


SIGNATURE = {"keyid": "", "sig": "AAAA"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a DSSE envelope"),
        (b"\xff", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"payload": NaN}', "NaN"),
        (ENVELOPE[:-1] + b',"payload":""}', "the key 'payload' occurs twice"),
        (changed(note=1), "note: Extra inputs are not permitted"),
        (changed(payload=None), "payload: Input should be a valid string"),
        (changed(payloadType="text/plain"), "payloadType 'text/plain'"),
        (changed(payload="e30"), "base64 that is not canonical"),
        (changed(payload="e30=\n"), "base64 that is not canonical"),
        (changed(payload="e31="), "base64 that is not canonical"),
        (changed(payload="_-8="), "base64 that is not canonical"),
        (changed(payload="é"), "base64 that is not canonical"),
        (changed(signatures=[SIGNATURE | {"cert": ""}]), "Extra inputs are not permitted"),
        (changed(signatures=[{"sig": "AAAA"}]), "keyid: Field required"),
        (changed(signatures=[SIGNATURE] * 17), "at most 16"),
        (b" " * (dsse.MAX_BYTES + 1), "more than the"),
    ],
)
def test_a_strange_envelope_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(StackwrightError, match=r"^the envelope ") as caught:
        dsse.read(data, "the envelope")
    assert reason in caught.value.what
