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
OnPart = Callable[[str, int, int], None]
"""Is told a part such as ``image``, how many of its bytes were read so far, and of how many."""

MANIFEST = Path("share", "stackwright", "manifest.json")


def untold(_part: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def measurer(store: Store, tree_hash: Callable[[Path], str], on_part: OnPart = untold) -> Measure:
    """Return a function that hashes an artefact's image, squashfs and prefix in ``store``.

    ``tree_hash(prefix)`` is the hash over all of the prefix but its manifest (docs/formats.md).
    ``on_part`` is told from several threads; of the prefix only that it is done, as its hash is the
    site's own code.
    """

    def hash_prefix(prefix: Path, size: int) -> str:
        try:
            found = tree_hash(prefix)
        except ValueError as error:  # it holds what has no hash, such as a link out of it
            raise _changed(prefix, str(error)) from error
        on_part("prefix", size, size)
        return found

    def measure(artefact: Artefact) -> Digests:
        prefix, layout = store.path(artefact.prefix.path), store.path(artefact.image.oci)
        with ThreadPoolExecutor() as pool:  # hashlib lets other threads run
            hashing = (
                pool.submit(image_digest, layout, counter("image", artefact.image.bytes, on_part)),
                pool.submit(
                    hash_file,
                    store.path(artefact.squashfs.path),
                    counter("squashfs", artefact.squashfs.bytes, on_part),
                ),
                pool.submit(hash_prefix, prefix, artefact.prefix.bytes),
            )
            found = Digests(*(part.result() for part in hashing))
        _check_manifest(prefix / MANIFEST, artefact, found.prefix)
        if found.image == artefact.image.digest:
            _check_config(layout, artefact)
        return found

    return measure


def counter(part: str, total: int, on_part: OnPart) -> Callable[[int], None]:
    """Add up the bytes of a part's pieces, and tell the sum."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        on_part(part, done, total)

    return count


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


def image_digest(layout: Path, on_bytes: Callable[[int], None] = lambda _more: None) -> str:
    """Return the manifest's digest of an OCI layout with one image, all of its blobs checked.

    Args:
        layout: the folder with its ``index.json``.
        on_bytes: is told of each piece of a blob how many bytes it has.

    Specification: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md.

    Raises:
        StackwrightError: more or fewer images than one, or a blob that is not what its name says.
        OSError: a file of the layout is missing.
    """
    index = parse((layout / "index.json").read_bytes(), "index.json")
    try:
        (descriptor,) = index["manifests"]
        manifest = parse(_blob(layout, descriptor, on_bytes).read_bytes(), "the image's manifest")
        for part in (manifest["config"], *manifest["layers"]):
            _blob(layout, part, on_bytes)
    except (KeyError, TypeError, ValueError) as error:
        raise _changed(layout, "not an OCI layout that holds exactly one image") from error
    return str(descriptor["digest"])


def _check_config(layout: Path, artefact: Artefact) -> None:
    """Engines run an image by the digest of its configuration: it must be the manifest's."""
    manifest = parse(_blob(layout, {"digest": artefact.image.digest}).read_bytes(), "the manifest")
    if manifest["config"]["digest"] != artefact.image.config:
        raise _changed(layout, f"the record names another image ID: {artefact.image.config}")


def _blob(
    layout: Path,
    descriptor: dict[str, Any],
    on_bytes: Callable[[int], None] = lambda _more: None,
) -> Path:
    algorithm, _, name = descriptor["digest"].partition(":")
    if algorithm != "sha256" or not name.isalnum():
        raise ValueError(f"not a sha256 digest: {descriptor['digest']}")
    path: Path = layout / "blobs" / "sha256" / name
    if hash_file(path, on_bytes) != descriptor["digest"]:
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
