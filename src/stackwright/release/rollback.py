"""Going back: a stack as it was before its last release (docs/decisions/0003-rollback.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from stackwright.certify.acceptance import check_cases
from stackwright.certify.artefact import Artefact
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import moment, timestamp
from stackwright.certify.verify import Certificate
from stackwright.errors import StackwrightError
from stackwright.release.generations import live_number, publish, read_history, releasing
from stackwright.release.measure import Measure, check_bytes
from stackwright.release.rule import Outcome
from stackwright.release.state import Generation, check_system, next_rollback, restore_point
from stackwright.release.view import Render, View, add_certified, certified_artefact
from stackwright.store import Store


def rollback(
    store: Store,
    stack: str,
    system: str,
    *,
    keys: TrustedKeys,
    measure: Measure,
    render: Render,
    believed: Callable[[Certificate], None],
    who: str,
    why: str,
    now: datetime,
) -> Outcome:
    """Take a stack back to what it was before its last release.

    ``believed`` raises if something that was measured says otherwise than a certificate.

    What comes back must still be the certified bytes, under a trusted signature, and its
    modulefile and kernel are made from these bytes anew, for where the store is now. A
    certificate or waiver that has expired since is a warning in the outcome, not an obstacle: see
    docs/decisions/0003-rollback.md.

    Raises:
        StackwrightError: there is nothing to go back to, or it isn't what was certified.
    """
    if live_number(store) is None:  # say so before anything is locked or made
        restore_point((), stack)
    with releasing(store):
        history = read_history(store)
        check_system(history[-1] if history else None, system)
        source = history[restore_point(history, stack) - 1]
        warnings: list[str] = []
        current = history[-1]
        view = View({**current.defaults, stack: source.defaults[stack]}, render)
        coming = _coming_back(current, source, stack)
        for module in sorted(_staying(current, source, stack) - coming):
            try:
                add_certified(view, store, current, module, keys=keys, measure=measure)
            except StackwrightError as error:
                warnings.append(f"{module} is live no more: it is not what was certified: {error}")
        for module in sorted(coming):
            artefact, certificate = _check_restorable(
                store, source, module, keys=keys, measure=measure
            )
            believed(certificate)
            view.add(artefact)
            warnings += _warnings(module, certificate, now)
        generation = next_rollback(
            history, stack, view.content, created=timestamp(now), who=who, why=why
        )
        publish(store, generation, view.files)
    return Outcome(generation, changed=True, warnings=tuple(warnings))


def _staying(current: Generation, source: Generation, stack: str) -> set[str]:
    """What users have by the live generation and keep: other stacks, and versions that stay."""
    ours = {module for module in current.pointers if module.startswith(f"{stack}/")}
    return {*current.pointers} - (ours - source.pointers.keys())


def _coming_back(current: Generation, source: Generation, stack: str) -> set[str]:
    """What users would newly get: what moves, and the default, which may move alone."""
    moved = {
        module
        for module, pointer in source.pointers.items()
        if module.startswith(f"{stack}/") and current.pointers.get(module) != pointer
    }
    return moved | {f"{stack}/{source.defaults[stack]}"}


def _check_restorable(
    store: Store,
    source: Generation,
    module: str,
    *,
    keys: TrustedKeys,
    measure: Measure,
) -> tuple[Artefact, Certificate]:
    artefact, certificate = certified_artefact(store, source, module, keys)
    predicate = certificate.statement.predicate
    # Waivers have to have counted when the release was made, not tonight.
    issued = moment(predicate.issued).date()
    check_cases(predicate.cases, predicate.waivers, predicate.cases, issued=issued, day=issued)
    check_bytes(artefact, measure)
    return artefact, certificate


def _warnings(module: str, certificate: Certificate, now: datetime) -> list[str]:
    predicate = certificate.statement.predicate
    lapsed = certificate.lapsed_waivers(now.date())
    return [
        *(
            [f"the certificate of {module} expired at {predicate.expires}"]
            if certificate.expired(now)
            else []
        ),
        *(f"the waiver of {module} for {case} has expired" for case in lapsed),
    ]
