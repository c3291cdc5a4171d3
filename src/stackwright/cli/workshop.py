"""The workshop of the label that a user typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackwright.certify.artefact import Artefact
    from stackwright.certify.verify import Certificate
    from stackwright.cli.context import Context
    from stackwright.cli.progress import Progress
    from stackwright.workshop import Workshop


def open_workshop(context: Context, pattern: str, progress: Progress | None = None) -> Workshop:
    """Find the one label that is meant, and the store of its system."""
    from stackwright.store import Store
    from stackwright.workshop import Workshop

    label = context.pick(pattern)
    store = Store(context.store(label.system))
    if progress is None:
        return Workshop(context.site, label, store)
    return Workshop(context.site, label, store, progress.stage)


def released_to_run(shop: Workshop, hint: str) -> Artefact:
    """What users have by the label, if the site injects into it what was certified with it.

    Raises:
        StackwrightError: nothing, or something else than was certified.
    """
    from stackwright.errors import StackwrightError

    artefact, _ = released(shop, hint)
    system = shop.label.system
    if shop.site.injections(system) and artefact.plan_hash != shop.plan_hash:
        raise StackwrightError(
            f"what '{system}' injects, or else the plan, has changed since the release",
            hint=f"its administrators release it anew: stackwright build '{shop.label}'",
        )
    return artefact


def released(shop: Workshop, hint: str) -> tuple[Artefact, Certificate]:
    """What users have by the label, held against the certificate by which they have it.

    Args:
        hint: what to type if it isn't released.

    Raises:
        StackwrightError: nothing, or something else than was certified.
    """
    from stackwright.errors import StackwrightError
    from stackwright.release.generations import read_history
    from stackwright.release.view import certified_artefact

    history = read_history(shop.store)
    module = shop.label.module
    if not history or module not in history[-1].pointers:
        raise StackwrightError(f"{shop.label} is not released", hint=hint)
    artefact, certificate = certified_artefact(shop.store, history[-1], module, shop.trusted())
    if artefact.label != str(shop.label):  # a store may have been given for another system
        raise StackwrightError(
            f"{shop.label} is not released here: {module} of this store is {artefact.label}",
            hint=f"name what you mean, such as {artefact.label}, or another --store",
        )
    return artefact, certificate
