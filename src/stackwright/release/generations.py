"""The generations of a store on disk: written whole, then made live by one rename.

A crash leaves three kinds of traces, and the next release deals with each (`recover`): drafts
under `work/` are removed; certificates without a generation are kept, they are true; a complete
generation that never became live is moved aside as `generations/orphan-<n>-<random>`, because
nobody was promised it. What `live` or an older generation points to is never touched.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.durable import (
    make_public_folder,
    publish_new,
    sync_folder,
    write_synced,
)
from stackwright.certify.strictjson import parse
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.release.state import Generation
from stackwright.store import Store

_LIVE = re.compile(r"generations/([1-9][0-9]*)")
_DRAFT = "release-"


@contextmanager
def releasing(store: Store) -> Iterator[None]:
    """Hold the store's release lock, with the traces of a crash cleared away."""
    with store.lock("release"):
        recover(store)
        yield


def live_number(store: Store) -> int | None:
    """Return the number of the live generation, None before the first release.

    Raises:
        StackwrightError: `live` is something that no release made.
    """
    link = store.path("live")
    try:
        target = str(link.readlink())
    except FileNotFoundError:
        return None
    except OSError:
        target = "not a symlink"
    match = _LIVE.fullmatch(target)
    if match is None:
        raise StackwrightError(
            f"not a link to a generation: {target}",
            where=Location(link),
            hint="ls STORE/generations, then: ln -sfn generations/N STORE/live",
            code=ExitCode.INVALID,
        )
    return int(match.group(1))


def read_history(store: Store) -> tuple[Generation, ...]:
    """Return every generation up to the live one, the oldest first.

    Raises:
        StackwrightError: a generation is missing or damaged.
    """
    generations = tuple(
        read_generation(store, number) for number in range(1, (live_number(store) or 0) + 1)
    )
    for number, generation in enumerate(generations, 1):
        if generation.number != number or generation.parent != (number - 1 or None):
            raise _damaged(_folder(store, number), "its numbers don't follow the one before")
    return generations


def read_generation(store: Store, number: int) -> Generation:
    """Read one generation's release.json.

    Raises:
        StackwrightError: it is missing or damaged.
    """
    path = _folder(store, number) / "release.json"
    try:
        data = path.read_bytes()
        parse(data, "release.json")
        return Generation.model_validate_json(data)
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise _damaged(path, f"malformed: {error.errors()[0]['msg']}") from None


def read_file(store: Store, generation: Generation, path: str) -> bytes:
    """Return a file of a generation, if it is still what was released.

    Raises:
        StackwrightError: the file is missing or was changed.
    """
    where = _folder(store, generation.number) / path
    try:
        data = where.read_bytes()
    except OSError as error:
        raise _damaged(where, f"cannot be read: {error.strerror}") from error
    if hash_bytes(data) != generation.files.get(path):
        raise _damaged(where, "it was changed after its release")
    return data


def recover(store: Store) -> None:
    """Clear away what an interrupted release left; call with the release lock held.

    Raises:
        StackwrightError: there is more than one crash can leave, so that somebody must look.
    """
    make_public_folder(store.path("generations"))
    store.path("work").mkdir(exist_ok=True)
    for draft in store.path("work").glob(f"{_DRAFT}*"):
        shutil.rmtree(draft)
    live = live_number(store) or 0
    newer = sorted(number for number in _numbers(store) if number > live)
    if newer and newer != [live + 1]:
        raise StackwrightError(
            f"live is at generation {live}, but there are newer ones: {newer[0]} to {newer[-1]}",
            where=Location(store.path("live")),
            hint=f"if live was moved by hand, put it back: ln -sfn generations/{newer[-1]} "
            f"{store.path('live')}; then: stackwright rollback STACK@SYSTEM",
            code=ExitCode.INVALID,
        )
    for number in newer:
        aside = store.path(f"generations/orphan-{number}-{secrets.token_hex(4)}")
        _folder(store, number).rename(aside)
        sync_folder(aside.parent)


def publish(store: Store, generation: Generation, files: Mapping[str, bytes]) -> None:
    """Write a generation and make it live; call with the release lock held.

    Args:
        store: where.
        generation: the successor of the live one.
        files: the bytes of all of its files, by path.

    Raises:
        StackwrightError: a link's target is not in the store, or the store can't be written.
    """
    for content in generation.content.values():
        for target in content.links.values():
            _check_target(store, target)
    try:
        with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=store.path("work")) as folder:
            _write_tree(Path(folder, "generation"), generation, files)
            _make_live(store, Path(folder), generation.number)
    except OSError as error:
        raise StackwrightError(
            f"cannot write the release: {error.strerror}; live is at {live_number(store)}",
            where=Location(error.filename or store.root),
            hint="make room or mend the permissions, then repeat the command",
            code=ExitCode.FAIL,
        ) from error


def save_certificate(store: Store, envelope: bytes) -> Path:
    """Keep a certificate under its digest; one that is there already stays."""
    path = certificate_path(store, hash_bytes(envelope))
    if not path.exists():
        with suppress(FileExistsError):
            publish_new(path, envelope)
    return path


def certificate_path(store: Store, digest: str) -> Path:
    """Return where the certificate with this digest lies."""
    return store.path(f"certificates/{digest.removeprefix('sha256:')}.json")


def _make_live(store: Store, work: Path, number: int) -> None:
    final = _folder(store, number)
    (work / "generation").rename(final)
    sync_folder(final.parent)
    link = work / "live"
    link.symlink_to(f"generations/{number}")
    link.rename(store.path("live"))
    sync_folder(store.root)


def _write_tree(root: Path, generation: Generation, files: Mapping[str, bytes]) -> None:
    root.mkdir(0o755)
    for content in generation.content.values():
        for path in content.files:
            _parent(root, path)
            write_synced(root / path, files[path])
        for path, target in content.links.items():
            _parent(root, path)
            up = "../" * (len(path.split("/")) + 1)
            (root / path).symlink_to(f"{up}{target}")
    record = canonical_json(generation.model_dump(mode="json", by_alias=True))
    write_synced(root / "release.json", record)
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
        sync_folder(Path(folder))


def _parent(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)


def _check_target(store: Store, target: str) -> None:
    if not store.path(target).exists():
        raise StackwrightError(
            "a release would point to nothing",
            where=Location(store.path(target)),
            hint="build it again: stackwright build LABEL",
            code=ExitCode.FAIL,
        )


def _folder(store: Store, number: int) -> Path:
    return store.path(f"generations/{number}")


def _numbers(store: Store) -> Iterator[int]:
    for path in store.path("generations").iterdir():
        if path.name.isdecimal():
            yield int(path.name)


def _damaged(path: Path, what: str) -> StackwrightError:
    return StackwrightError(
        f"damaged generation: {what}",
        where=Location(path),
        hint="restore it from a backup; live and the other generations are as they were",
        code=ExitCode.INVALID,
    )
