"""ECDSA P-256 keys in PEM files: the builder's and the release key, never the same one.

P-256 with SHA-256 and DER signatures is what cosign and `openssl dgst -sha256` both verify.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.canonical import check_inside
from stackwright.certify.durable import publish_new
from stackwright.errors import ExitCode, Location, StackwrightError

BUILDER = "builder"
RELEASE = "release"
REVOKED = "revoked"

_MAX_PEM = 16 * 1024
_PUBLIC, _PRIVATE = b" PUBLIC KEY-----", b" PRIVATE KEY-----"
_ALGORITHM = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class PublicKey:
    """A key that anyone may hold; ``id`` is the sha256 (hex) of its DER SubjectPublicKeyInfo."""

    pem: bytes
    id: str
    _key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> PublicKey:
        """Wrap a key of the cryptography package."""
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        der = key.public_bytes(serialization.Encoding.DER, info)
        pem = key.public_bytes(serialization.Encoding.PEM, info)
        return cls(pem, hashlib.sha256(der).hexdigest(), key)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether the DER ``signature`` over ``message`` was made by this key's owner."""
        try:
            self._key.verify(signature, message, _ALGORITHM)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs; its text never shows the secret."""

    public: PublicKey
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, key: ec.EllipticCurvePrivateKey) -> PrivateKey:
        """Wrap a key of the cryptography package."""
        return cls(PublicKey.of(key.public_key()), key)

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature over ``message``."""
        return self._key.sign(message, _ALGORITHM)


@dataclass(frozen=True)
class TrustedKeys:
    """The public keys that a verifier believes, by what each may sign.

    Raises:
        StackwrightError: if one key plays both parts.
    """

    release: tuple[PublicKey, ...]
    builder: tuple[PublicKey, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a key in both parts: a builder could then certify its own work."""
        both = {key.id for key in self.release} & {key.id for key in self.builder}
        if both:
            raise StackwrightError(
                f"key {min(both)[:16]} is both a builder's and a release key",
                hint="make separate keys: stackwright keys create release",
            )


def trusted_keys(site_keys: Path, store_keys: Path) -> TrustedKeys:
    """The keys that a site pins; without a folder of them, those that lie in the store.

    Every ``release*.pub`` and ``builder*.pub`` counts, so that a replaced key stays trusted.
    Whoever writes the store can put a key there; the site's files are reviewed. So once the site
    has the folder, the store's release keys count no more, and its builders' only while the site
    has neither a ``builder*.pub`` nor a ``revoked*.pub``: revoking the pinned one must not bring
    the store's back. What is in the site as ``revoked*.pub`` counts nowhere. Either folder may be
    missing.

    Raises:
        StackwrightError: the site's folder leaves no release key, or none of a builder that it has
            pinned or revoked, a private key lies in it, a file is no public key, or one key plays
            both parts.
    """
    revoked = _revoked(site_keys)
    if private := sorted(site_keys.glob("*.key")):
        raise StackwrightError(
            "a private key lies in the site",
            where=Location(private[0]),
            hint=f"keep only its public half there: mv -n {private[0]} {store_keys}/",
        )
    pins_builder = bool(revoked or _load_all(site_keys, BUILDER))

    def counting(name: str, *, pinned: bool) -> tuple[PublicKey, ...]:
        keys = _load_all(site_keys if pinned else store_keys, name)
        left = tuple(key for key in keys if key.id not in revoked)
        if pinned and not left:
            raise _pins_none(site_keys, name)
        return left

    return TrustedKeys(
        release=counting(RELEASE, pinned=os.path.lexists(site_keys)),
        builder=counting(BUILDER, pinned=pins_builder),
    )


def named_keys(paths: Iterable[Path], site_keys: Path) -> tuple[PublicKey, ...]:
    """The keys in files that a verifier names.

    Raises:
        StackwrightError: the site has revoked one of them; or a file is no public key.
    """
    revoked = _revoked(site_keys)
    keys = {path: load_public(path) for path in paths}
    for path, key in keys.items():
        if key.id in revoked:
            raise StackwrightError(
                "this site revoked that key",
                where=Location(path),
                hint="name one that counts: stackwright keys list",
                code=ExitCode.INVALID,
            )
    return tuple(keys.values())


def _revoked(site_keys: Path) -> set[str]:
    """The ids of the keys that a site has revoked."""
    if os.path.lexists(site_keys):
        _check_pinned(site_keys)
    return {key.id for key in _load_all(site_keys, REVOKED)}


def _pins_none(folder: Path, name: str) -> StackwrightError:
    return StackwrightError(
        f"the site pins no {name} key that counts, and the store's don't count beside it",
        where=Location(folder),
        hint=f"put the public half of a {name} key that you trust there, as {name}.pub",
    )


def _check_pinned(folder: Path) -> None:
    """Refuse a folder of pinned keys that would pin nothing, less than it seems to, or another's.

    A link out of the site would trust a key that nobody reviewed there.
    """
    if not folder.is_dir():
        raise StackwrightError(
            "not a folder, so it pins no key",
            where=Location(folder),
            hint="put release*.pub and builder*.pub there, or remove it",
        )
    for path in sorted(folder.iterdir()):
        check_inside(path, folder.parent)
        kinds, suffixes = (RELEASE, BUILDER, REVOKED), (".pub", ".key")
        known = path.name.startswith(kinds) and path.suffix in suffixes
        if not known and not path.name.startswith(("README", ".")):
            raise StackwrightError(
                "not a name of a key, so it would be overlooked",
                where=Location(path),
                hint="public keys are named release*.pub, builder*.pub and revoked*.pub",
            )


def create_pair(folder: Path, name: str) -> PrivateKey:
    """Make ``<name>.key`` (0600) and ``<name>.pub`` in ``folder``.

    Raises:
        StackwrightError: if either is there already; nothing is ever overwritten.
    """
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    if public.exists():
        raise _exists(public)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pair = PrivateKey.of(key)
    for path, data, mode in ((private, pem, 0o600), (public, pair.public.pem, 0o644)):
        try:
            publish_new(path, data, mode)
        except FileExistsError:
            raise _exists(path) from None
    return pair


def load_private(path: Path) -> PrivateKey:
    """Read a private key that only its owner can read.

    Raises:
        StackwrightError: missing, readable by others, or not an unencrypted P-256 key.
    """
    data = _read(path, private=True)
    if _PUBLIC in data:
        raise StackwrightError(
            "this is a public key: only its private half signs",
            where=Location(path),
            hint=f"name the private half: {path.with_suffix('.key')}",
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _not_a_key(path, "an unencrypted private") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _is_p256(key.curve):
        raise _not_a_key(path, "an ECDSA P-256 private")
    return PrivateKey.of(key)


def load_public(path: Path) -> PublicKey:
    """Read a PEM public key.

    Raises:
        StackwrightError: missing, or not a P-256 public key.
    """
    data = _read(path, private=False)
    if _PRIVATE in data:
        raise StackwrightError(
            "this is a private key: what verifies is its public half",
            where=Location(path),
            hint=f"name {path.with_suffix('.pub')}, and keep the private half to yourself",
        )
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise _not_a_key(path, "a public") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_p256(key.curve):
        raise _not_a_key(path, "an ECDSA P-256 public")
    return PublicKey.of(key)


def _load_all(folder: Path, name: str) -> tuple[PublicKey, ...]:
    return tuple(load_public(path) for path in sorted(folder.glob(f"{name}*.pub")))


def _is_p256(curve: ec.EllipticCurve) -> bool:
    return isinstance(curve, ec.SECP256R1)


def _read(path: Path, *, private: bool) -> bytes:
    try:
        # The checks look at the open file, so that nobody can swap it in between.
        with path.open("rb") as file:
            data = file.read(_MAX_PEM)
            if private and _PUBLIC not in data:  # a public one is for all to read
                _check_private(path, os.fstat(file.fileno()))
            return data
    except OSError as error:
        raise StackwrightError(
            f"cannot read the key: {error.strerror}",
            where=Location(path),
            hint=f"make one with: stackwright keys create {_part(path)}",
        ) from error


def _part(path: Path) -> str:
    """The part that a key of this name plays."""
    return BUILDER if path.stem.startswith(BUILDER) else RELEASE


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise StackwrightError(
            f"the private key belongs to another user (uid {status.st_uid})",
            where=Location(path),
            hint=f"chown {os.geteuid()} {path}",
        )
    if status.st_mode & 0o077:
        raise StackwrightError(
            f"others can read the private key (mode {stat.S_IMODE(status.st_mode):04o})",
            where=Location(path),
            hint=f"chmod 600 {path}; if others had access, replace the key",
        )


def _exists(path: Path) -> StackwrightError:
    return StackwrightError(
        "there is a key already; keys are never overwritten",
        where=Location(path),
        hint=f"move it away first, or use it: openssl pkey -pubout -in {path.with_suffix('.key')}",
    )


def _not_a_key(path: Path, kind: str) -> StackwrightError:
    return StackwrightError(
        f"not {kind} key in PEM form",
        where=Location(path),
        hint=f"make one with: stackwright keys create {path.stem}",
        code=ExitCode.USAGE,
    )
