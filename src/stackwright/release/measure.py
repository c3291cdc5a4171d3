"""Hashing the bytes that users will get, whatever the records say about them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_file
from stackwright.certify.artefact import Artefact, Digests
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.store import Store

Measure = Callable[[Artefact], Digests]

MANIFEST = Path("share", "stackwright", "manifest.json")


def measurer(store: Store, tree_hash: Callable[[Path], str]) -> Measure:
    """Return a function that hashes an artefact's image, squashfs and prefix in ``store``.

    ``tree_hash(prefix)`` is the hash over all of the prefix but its manifest (docs/formats.md).
    """

    def measure(artefact: Artefact) -> Digests:
        prefix, layout = store.path(artefact.prefix.path), store.path(artefact.image.oci)
        with ThreadPoolExecutor() as pool:  # hashlib lets other threads run
            hashing = (
                pool.submit(image_digest, layout),
                pool.submit(hash_file, store.path(artefact.squashfs.path)),
                pool.submit(tree_hash, prefix),
            )
            found = Digests(*(part.result() for part in hashing))
        _check_manifest(prefix / MANIFEST, artefact, found.prefix)
        if found.image == artefact.image.digest:
            _check_config(layout, artefact)
        return found

    return measure


def check_bytes(artefact: Artefact, measure: Measure) -> None:
    """Check that the bytes in the store are those of the artefact's record.

    Raises:
        StackwrightError: something is missing, or has changed since it was built.
    """
    try:
        measured = asdict(measure(artefact))
    except OSError as error:
        raise _changed(Path(error.filename or "?"), f"cannot be read: {error.strerror}") from error
    for part, digest in asdict(artefact.digests).items():
        if measured[part] != digest:
            raise StackwrightError(
                f"the {part} of {artefact.label} was changed: it is {measured[part]}, not {digest}",
                hint=f"build, validate and certify it again: stackwright build {artefact.label}",
                code=ExitCode.INVALID,
            )


def image_digest(layout: Path) -> str:
    """Return the manifest's digest of an OCI layout with one image, all of its blobs checked.

    Specification: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md.

    Raises:
        StackwrightError: more or fewer images than one, or a blob that is not what its name says.
        OSError: a file of the layout is missing.
    """
    index = parse((layout / "index.json").read_bytes(), "index.json")
    try:
        (descriptor,) = index["manifests"]
        manifest = parse(_blob(layout, descriptor).read_bytes(), "the image's manifest")
        for part in (manifest["config"], *manifest["layers"]):
            _blob(layout, part)
    except (KeyError, TypeError, ValueError) as error:
        raise _changed(layout, "not an OCI layout that holds exactly one image") from error
    return str(descriptor["digest"])


def _check_config(layout: Path, artefact: Artefact) -> None:
    """Engines run an image by the digest of its configuration: it must be the manifest's."""
    manifest = parse(_blob(layout, {"digest": artefact.image.digest}).read_bytes(), "the manifest")
    if manifest["config"]["digest"] != artefact.image.config:
        raise _changed(layout, f"the record names another image ID: {artefact.image.config}")


def _blob(layout: Path, descriptor: dict[str, Any]) -> Path:
    algorithm, _, name = descriptor["digest"].partition(":")
    if algorithm != "sha256" or not name.isalnum():
        raise ValueError(f"not a sha256 digest: {descriptor['digest']}")
    path: Path = layout / "blobs" / "sha256" / name
    if hash_file(path) != descriptor["digest"]:
        raise _changed(path, "the blob is not what its name says")
    return path


def _check_manifest(path: Path, artefact: Artefact, tree: str) -> None:
    data = path.read_bytes()
    wanted = {
        "schema": "stackwright/manifest/1",
        "label": artefact.label,
        "plan_hash": artefact.plan_hash,
        "tree": tree,
    }
    if parse(data, "manifest.json") != wanted:
        raise _changed(path, "the prefix's manifest does not describe this prefix")


def _changed(path: Path, what: str) -> StackwrightError:
    return StackwrightError(
        what,
        where=Location(path),
        hint="build, validate and certify it again: stackwright build LABEL",
        code=ExitCode.INVALID,
    )
