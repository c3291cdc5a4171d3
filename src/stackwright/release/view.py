"""What users see of a release: files, links and the certificate that each module stands on.

All of it follows from certified bytes, so that a generation, which nobody signs, can be held
against them, and the next one be made without believing it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath

from stackwright.canonical import canonical_json, hash_bytes, hash_file
from stackwright.certify.artefact import Artefact
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.verify import (
    Certificate,
    Expected,
    check_subject,
    open_certificate,
    read_certificate,
)
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.inputs import labels
from stackwright.release.generations import certificate_path, read_file
from stackwright.release.measure import Measure, check_bytes
from stackwright.release.state import Content, Generation, Pointer, by_owner
from stackwright.store import Store

Render = Callable[[Artefact, str], Mapping[str, bytes]]
"""Given an artefact and its stack's default (``version-variant``): what users get by the release
beside the artefact itself, and the stack's .modulerc.lua, by their path in the generation."""


@dataclass(frozen=True)
class View:
    """What users get: by owner as a generation records it, and the bytes of every file.

    ``defaults`` are those of the stacks; one without leaves the choice to Lmod.
    """

    defaults: Mapping[str, str]
    render: Render
    content: dict[str, Content] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, artefact: Artefact) -> None:
        """Add what a release of ``artefact`` gives."""
        label = labels.parse(artefact.label)
        made = _files_of(artefact, self.defaults.get(label.stack, label.release), self.render)
        owners = by_owner(label.module, _content_of(artefact, made))
        if label.stack not in self.defaults:
            made = {path: made[path] for path in owners[label.module].files}
            del owners[label.stack]
        self.content.update(owners)
        self.files.update(made)


def add_certified(
    view: View,
    store: Store,
    generation: Generation,
    module: str,
    *,
    keys: TrustedKeys,
    measure: Measure,
) -> None:
    """Add what users have by a generation, held against its certificate.

    Its bytes are hashed where its files would be others than they are.

    Raises:
        StackwrightError: it isn't what was certified.
    """
    artefact, _ = certified_artefact(store, generation, module, keys)
    view.add(artefact)
    if view.content[module] != generation.content.get(module):
        check_bytes(artefact, measure)


def released_artefact(store: Store, generation: Generation, module: str) -> Artefact:
    """Return the record of what ``stack/version-variant`` points to in a generation.

    The record travels in the generation: a later build of the same plan can't change it.

    Raises:
        StackwrightError: the generation doesn't hold it, or is damaged.
    """
    return Artefact.model_validate_json(read_file(store, generation, _record_path(module)))


def certified_artefact(
    store: Store, generation: Generation, module: str, keys: TrustedKeys
) -> tuple[Artefact, Certificate]:
    """Return what a generation released as ``module``, held against the certificate it names.

    A generation is not signed; its certificates are.

    Raises:
        StackwrightError: record, pointer, links and certificate do not belong together.
    """
    artefact = released_artefact(store, generation, module)
    pointer = generation.pointers[module]
    path = certificate_path(store, pointer.certificate)
    certificate = open_certificate(read_certificate(path), keys)
    if pointer_to(artefact, certificate) != pointer:
        raise _forged(
            path, f"generation {generation.number} released {module} with another certificate"
        )
    predicate = certificate.statement.predicate
    check_subject(
        certificate,
        Expected.of(
            artefact,
            system=generation.system,
            suite=predicate.suite.digest,
            payload=predicate.payload,
            required_cases=frozenset(predicate.cases),
        ),
    )
    if labels.parse(artefact.label).module != module:
        raise _forged(path, f"generation {generation.number} has {artefact.label} as {module}")
    if generation.content[module].links != links_to(artefact):
        where = store.path(f"generations/{generation.number}/release.json")
        raise _forged(
            where, f"generation {generation.number} has links to something else than {module}"
        )
    return artefact, certificate


def _forged(where: Path, what: str) -> StackwrightError:
    return StackwrightError(
        what,
        where=Location(where),
        hint="restore generations and certificates from a backup",
        code=ExitCode.INVALID,
    )


def _files_of(artefact: Artefact, default: str, render: Render) -> dict[str, bytes]:
    """Return the files of a release of ``artefact``, with its record, by path."""
    module = labels.parse(artefact.label).module
    return {**render(artefact, default), _record_path(module): _record(artefact)}


def _content_of(artefact: Artefact, files: Mapping[str, bytes]) -> Content:
    """Return what a release of ``artefact`` with these files is, as a generation records it."""
    hashes = {path: hash_bytes(data) for path, data in files.items()}
    return Content(files=hashes, links=links_to(artefact))


def _record_path(module: str) -> str:
    return f"images/{module}/artefact.json"


def _record(artefact: Artefact) -> bytes:
    return canonical_json(artefact.model_dump(mode="json", by_alias=True))


def links_to(artefact: Artefact) -> dict[str, str]:
    """Return the links that a release of ``artefact`` makes, by their path in the generation."""
    folder = f"images/{labels.parse(artefact.label).module}"
    return {
        f"{folder}/oci": artefact.image.oci,
        f"{folder}/image.squashfs": artefact.squashfs.path,
    }


def pointer_to(artefact: Artefact, certificate: Certificate) -> Pointer:
    """Return the pointer that a release of ``artefact`` by ``certificate`` sets."""
    return Pointer(
        **asdict(artefact.digests),
        plan_hash=artefact.plan_hash,
        certificate=certificate.digest,
    )


def damaged(store: Store, generation: Generation) -> Iterator[Path]:
    """Every file and link of a generation that is not what was released, or was added to it."""
    folder = store.path(f"generations/{generation.number}")
    for path, digest in generation.files.items():
        file = folder / path
        if file.is_symlink() or not file.is_file() or hash_file(file) != digest:
            yield file
    for content in generation.content.values():
        for path, target in content.links.items():
            if (folder / path).resolve() != store.path(target).resolve():
                yield folder / path
    yield from _added(
        folder, {p for content in generation.content.values() for p in content.paths()}
    )


def _added(folder: Path, released: Collection[str]) -> Iterator[Path]:
    """What lies in a generation's folder and is not of the release; links are not followed."""
    folders = {str(parent) for path in released for parent in PurePath(path).parents}
    expected = {*released, "release.json"}
    for where, subfolders, files in os.walk(folder):
        for name in sorted([*subfolders, *files]):
            path = Path(where, name)
            known = path.relative_to(folder).as_posix()
            ours = not path.is_symlink() if known in folders else known in expected
            if not ours:
                yield path
