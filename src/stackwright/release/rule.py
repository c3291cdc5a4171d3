"""The one rule: a pointer moves only to bytes that a valid certificate names."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePath

from stackwright.canonical import canonical_json, hash_bytes, hash_file
from stackwright.certify.acceptance import Judged
from stackwright.certify.artefact import Artefact
from stackwright.certify.coverage import Coverage, altered, difference, shrank
from stackwright.certify.evidence import Evidence
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import Predicate, timestamp
from stackwright.certify.verify import (
    Certificate,
    Expected,
    check_subject,
    open_certificate,
    read_certificate,
    verify_certificate,
)
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.inputs import labels
from stackwright.release.generations import (
    certificate_path,
    publish,
    read_file,
    read_history,
    releasing,
    save_certificate,
)
from stackwright.release.measure import Measure, check_bytes
from stackwright.release.state import (
    Content,
    Generation,
    Pointer,
    baseline_module,
    check_baseline,
    check_system,
    default_after,
    next_release,
    yardsticks,
)
from stackwright.store import Store

# Given an artefact and its stack's default (``version-variant``): what users get by the release
# beside the artefact itself, and the stack's .modulerc.lua, by their path in the generation.
Render = Callable[[Artefact, str], Mapping[str, bytes]]


@dataclass(frozen=True)
class Request:
    """What somebody asks to release; the suite, the payload and the cases are today's.

    ``make_default``: whether it becomes the stack's default; None leaves it to the comparison that
    the certificate makes (`default_after`).
    """

    artefact: Artefact
    certificate: bytes | None
    system: str
    suite: str
    payload: str
    required_cases: frozenset[str]
    who: str
    why: str
    make_default: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """The generation that is live now; ``changed`` is False if nothing had to move."""

    generation: Generation
    changed: bool
    warnings: tuple[str, ...] = ()


def release(
    store: Store,
    request: Request,
    *,
    keys: TrustedKeys,
    measure: Measure,
    render: Render,
    now: datetime,
    evidence: Evidence | None = None,
) -> Outcome:
    """Move image, module and kernel of a label together, if its certificate and bytes hold.

    Releasing again what is live moves nothing, unless a file of the label was damaged: then the
    new generation mends it.

    Raises:
        StackwrightError: one line for what is wrong; nothing has moved then.
    """
    artefact, label = request.artefact, labels.parse(request.artefact.label)
    expected = Expected.of(
        artefact,
        system=request.system,
        suite=request.suite,
        payload=request.payload,
        required_cases=request.required_cases,
    )
    certificate = verify_certificate(
        request.certificate, keys, expected, now=now, evidence=evidence
    )
    predicate = certificate.statement.predicate
    with releasing(store):
        history = read_history(store)
        current = history[-1] if history else None
        check_system(current, label.system)
        warnings: tuple[str, ...] = ()
        replaced = None
        if current and (module := baseline_module(history, label)):
            replaced, released = certified_artefact(store, current, module, keys)
            warnings += _asked_less(module, released.statement.predicate, predicate)
            if released.statement == certificate.statement:  # in another envelope, perhaps
                certificate = released
        baseline = compared_with(store, history, label, artefact.image.digest, keys)
        check_baseline(baseline, label, predicate.baseline)
        check_bytes(artefact, measure)
        # Compared with what is released now, or with a better one before it.
        compared = replaced.image.digest if replaced and predicate.baseline else None
        default = default_after(current, label, compared, make_default=request.make_default)
        if request.make_default is None:
            warnings += _default_kept(label, default, compared)
        files = files_of(artefact, default, render)
        generation = next_release(
            current,
            label,
            pointer_to(artefact, certificate),
            content_of(artefact, files),
            default=default,
            created=timestamp(now),
            who=request.who,
            why=request.why,
        )
        if current is not None and _same_view(store, current, generation):
            return Outcome(current, changed=False, warnings=warnings)
        save_certificate(store, certificate.envelope)
        publish(store, generation, files, origins=history)
    return Outcome(generation, changed=True, warnings=warnings)


def compared_with(
    store: Store,
    history: Sequence[Generation],
    label: labels.Label,
    image: str,
    keys: TrustedKeys,
) -> Artefact | None:
    """Return what a candidate has to be compared with; None where there is nothing.

    It is the newest release in the label's place that is not the candidate itself, so that what
    was compared once is never measured without comparison; and not one that is live by a waiver
    for being slow, as long as there is an earlier one: a waiver lowers no yardstick.

    Args:
        store: holds the generations, their certificates, and the evidence of waivers.
        history: the generations, the oldest first.
        label: the candidate's.
        image: the candidate's image.
        keys: what certificates are believed by.

    Raises:
        StackwrightError: what was released is not what its certificate says.
    """
    waived: Artefact | None = None
    for generation, module in yardsticks(history, label):
        released, certificate = certified_artefact(store, generation, module, keys)
        if released.image.digest == image:
            continue
        if not _waived_slowness(store, certificate.statement.predicate):
            return released
        waived = waived or released
    return waived


def _waived_slowness(store: Store, predicate: Predicate) -> bool:
    """Say whether a case was waived that was slow or undecided; without evidence, each counts."""
    waived = [case for case, verdict in predicate.cases.items() if verdict == "WAIVED"]
    for path in store.path("runs").glob("*/judgement.json") if waived else ():
        if hash_file(path) == predicate.evidence.judgement:
            verdicts = {case.id: case.verdict for case in Judged.read(path.read_bytes()).cases}
            return any(verdicts[case] != "UNAVAILABLE" for case in waived)
    return bool(waived)


def _asked_less(module: str, released: Predicate, ours: Predicate) -> tuple[str, ...]:
    """Say which cases the released build had to pass and this one had not, or had otherwise."""
    before, after = Coverage.of(released), Coverage.of(ours)
    if shrank(before, after):
        return (
            f"less was asked than of {module}, the release before: {difference(before, after)}",
        )
    if altered(before, after):
        return (f"not what was asked of {module}, the release before: {difference(before, after)}",)
    return ()


def _default_kept(label: labels.Label, default: str, compared: str | None) -> tuple[str, ...]:
    """Say why a release has not become the default, unless it has."""
    if default == label.release:
        return ()
    what = "another release" if compared else "nothing"
    return (
        f"the default stays {default}: {label.release} was compared with {what}; "
        f"make it the default with: stackwright release '{label}' --default",
    )


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


def files_of(artefact: Artefact, default: str, render: Render) -> dict[str, bytes]:
    """Return the files of a release of ``artefact``, with its record, by path."""
    module = labels.parse(artefact.label).module
    return {**render(artefact, default), _record_path(module): _record(artefact)}


def content_of(artefact: Artefact, files: Mapping[str, bytes]) -> Content:
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


def _same_view(store: Store, current: Generation, following: Generation) -> bool:
    """Say whether users would see no difference, files that were damaged since included."""
    names = ("pointers", "defaults", "content")
    if any(getattr(current, name) != getattr(following, name) for name in names):
        return False
    return not any(damaged(store, current))


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
