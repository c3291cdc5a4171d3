"""Bring a released image to where Shifter takes images from: a folder, or a gateway by a registry.

Who calls these has held the artefact against its certificate (release/view.py): nothing else may
come to users.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackwright.canonical import hash_bytes, hash_file
from stackwright.certify.artefact import Artefact
from stackwright.certify.durable import sync_folder
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.shifter.contents import Config, read_config
from stackwright.shifter.layout import image_id, render_meta
from stackwright.store import Store
from stackwright.tools import registry, shifterimg
from stackwright.tools.process import Runner

_CHUNK = 1 << 20
_PARTIAL = ".partial"


@dataclass(frozen=True)
class Published:
    """An image where Shifter takes it from.

    Args:
        id: its manifest's digest in hexadecimal digits.
        image: what users give to ``shifter --image``.
        places: the files, or the name in the registry.
        changed: False if all of it was there.
    """

    id: str
    image: str
    places: tuple[str, ...]
    changed: bool


def to_folder(
    artefact: Artefact, store: Store, folder: Path, on_bytes: Callable[[int], None]
) -> Published:
    """Put `<id>.meta` and `<id>.squashfs` into the folder that is Shifter's ``imagePath``.

    Both are written whole as ``.partial``, and flushed; then they get their names, the `.meta`
    first, as the gateway has it: without a squashfs it is no image yet. All may read them: what
    is released is no secret, and on some file systems root is nobody. A crash leaves at most
    ``.partial`` files, which the next call replaces, and a `.meta` alone, which it completes.

    Args:
        on_bytes: is told of each piece of the squashfs how many bytes it has.

    Raises:
        StackwrightError: another file has the image's name, or the squashfs isn't the artefact's.
        OSError: the folder isn't there, can't be written, or is full.
    """
    name = image_id(artefact.image.digest)
    config = Config.of(read_config(store.path(artefact.image.oci), artefact.image.digest))
    content = render_meta(config)
    meta, squashfs = folder / f"{name}.meta", folder / f"{name}.squashfs"
    with store.lock(f"publish-{name}"), _cleared(meta, squashfs):
        missing = [
            path
            for path, digest in ((meta, hash_bytes(content)), (squashfs, artefact.squashfs.digest))
            if not _is_there(path, digest)
        ]
        if squashfs in missing:
            _copy(store.path(artefact.squashfs.path), squashfs, artefact.squashfs.digest, on_bytes)
        if meta in missing:
            _write(meta, iter([content]))
        for path in missing:
            _partial(path).rename(path)
            sync_folder(folder)
    return Published(name, f"id:{name}", (str(meta), str(squashfs)), bool(missing))


def to_gateway(
    artefact: Artefact, store: Store, reference: str, known_as: str, runner: Runner
) -> Published:
    """Copy the image to a registry, and have the gateway pull it from there.

    Args:
        reference: the name in the registry, with the tag.
        known_as: what the gateway calls it: without the registry if that is its default.

    Raises:
        StackwrightError: the registry or the gateway has another image by this name, or none.
    """
    digest = artefact.image.digest
    registry.push(store.path(artefact.image.oci), reference, digest, runner)
    image = f"docker:{known_as}"
    found = shifterimg.pull(image, runner)
    if found != image_id(digest):
        raise StackwrightError(
            f"the gateway has {found} as {known_as}, not {image_id(digest)}",
            hint="it pulls from another registry: --as gives the name that it knows the image by",
            code=ExitCode.INVALID,
        )
    return Published(found, image, (reference,), changed=True)


def _is_there(path: Path, digest: str) -> bool:
    """Whether a file is there with these bytes.

    Raises:
        StackwrightError: it has others.
    """
    if not os.path.lexists(path):
        return False
    if path.is_file() and not path.is_symlink() and hash_file(path) == digest:
        return True
    raise StackwrightError(
        "another file has the name of this image",
        where=Location(path),
        hint="it may be the gateway's own: remove it if no job runs in it, or publish elsewhere",
        code=ExitCode.INVALID,
    )


def _copy(source: Path, target: Path, digest: str, on_bytes: Callable[[int], None]) -> None:
    found = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
                on_bytes(len(chunk))
                yield chunk

    _write(target, pieces())
    if f"sha256:{found.hexdigest()}" != digest:
        raise StackwrightError(
            "the squashfs is not the one that was certified",
            where=Location(source),
            hint="restore it from a backup, or build, validate and certify the label again",
            code=ExitCode.INVALID,
        )


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(_partial(path), flags, 0o600), "wb") as file:  # noqa: PTH123 - by descriptor
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}{_PARTIAL}")


@contextmanager
def _cleared(*paths: Path) -> Iterator[None]:
    """Remove what an interrupted call left, and at the end what this one leaves."""
    partials = [_partial(path) for path in paths]
    for partial in partials:
        partial.unlink(missing_ok=True)
    try:
        yield
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)
