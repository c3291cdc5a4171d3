"""The one rule: a pointer moves only to bytes that a valid certificate names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from stackwright.canonical import hash_file
from stackwright.certify.acceptance import Judged
from stackwright.certify.artefact import Artefact
from stackwright.certify.coverage import Coverage, altered, difference, shrank
from stackwright.certify.evidence import Evidence
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import Predicate, timestamp
from stackwright.certify.verify import (
    Expected,
    verify_certificate,
)
from stackwright.errors import StackwrightError
from stackwright.inputs import labels
from stackwright.release.generations import (
    publish,
    read_history,
    releasing,
    save_certificate,
)
from stackwright.release.measure import Measure, check_bytes
from stackwright.release.state import (
    Generation,
    baseline_module,
    check_baseline,
    check_system,
    default_after,
    next_release,
    yardsticks,
)
from stackwright.release.view import (
    Render,
    View,
    add_certified,
    certified_artefact,
    damaged,
    pointer_to,
)
from stackwright.store import Store


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
        compared = predicate.baseline if replaced else None
        default = default_after(current, label, compared, make_default=request.make_default)
        warnings += _compared_with_another(replaced, artefact, compared)
        if request.make_default is None:
            warnings += _default_kept(label, default, compared)
        defaults = {**(current.defaults if current else {}), label.stack: default}
        view = View(defaults, render)
        if current:
            for module in sorted(current.pointers.keys() - {label.module}):
                with _naming(module):
                    add_certified(view, store, current, module, keys=keys, measure=measure)
        view.add(artefact)
        generation = next_release(
            current,
            label,
            pointer_to(artefact, certificate),
            view.content,
            default=default,
            created=timestamp(now),
            who=request.who,
            why=request.why,
        )
        if current is not None and _same_view(store, current, generation):
            return Outcome(current, changed=False, warnings=warnings)
        save_certificate(store, certificate.envelope)
        publish(store, generation, view.files)
    return Outcome(generation, changed=True, warnings=warnings)


@contextmanager
def _naming(module: str) -> Iterator[None]:
    """Say of which module, beside the one to be released, an error is."""
    try:
        yield
    except StackwrightError as error:
        raise StackwrightError(
            f"{module}, which is live as well, is not what was certified: {error.what}",
            where=error.where,
            hint=f"{error.hint or 'restore it from a backup'}; or go back to what was before it: "
            f"stackwright rollback {module.partition('/')[0]}",
            code=error.code,
        ) from error


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


def _compared_with_another(
    replaced: Artefact | None, artefact: Artefact, compared: str | None
) -> tuple[str, ...]:
    """Say that a release was not compared with what users have, unless it was."""
    if not replaced or not compared or replaced.image.digest in {compared, artefact.image.digest}:
        return ()
    return (
        f"compared with an earlier release than {labels.parse(replaced.label).module}, which users "
        "have now by a waiver: where that one is faster, nothing says that this one is as fast",
    )


def _default_kept(label: labels.Label, default: str, compared: str | None) -> tuple[str, ...]:
    """Say why a release has not become the default, unless it has."""
    if default == label.release:
        return ()
    what = "another release" if compared else "nothing"
    return (
        f"the default stays {default}: {label.release} was compared with {what}; "
        f"make it the default with: stackwright release '{label}' --default",
    )


def _same_view(store: Store, current: Generation, following: Generation) -> bool:
    """Say whether users would see no difference, files that were damaged since included."""
    names = ("pointers", "defaults", "content")
    if any(getattr(current, name) != getattr(following, name) for name in names):
        return False
    return not any(damaged(store, current))
