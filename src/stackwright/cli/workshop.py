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
    from stackwright.workshop import Workshop

    label = context.pick(pattern)
    store = context.store(label.system)
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
    if artefact.plan_hash != shop.plan_hash and _injected(shop, artefact) != _injects(shop):
        raise StackwrightError(
            f"what '{system}' injects has changed since the release",
            hint=f"its administrators release it anew: stackwright build '{shop.label}'",
        )
    return artefact


def _injects(shop: Workshop) -> list[object]:
    """What the site injects now, as a plan keeps it."""
    injections = shop.site.injections(shop.label.system)
    return [one.model_dump(mode="json", by_alias=True) for one in injections]


def _injected(shop: Workshop, artefact: Artefact) -> object:
    """What the plan of an artefact has of it.

    Raises:
        StackwrightError: the plan in its prefix is not that of which its certificate tells.
    """
    from stackwright.canonical import hash_value
    from stackwright.errors import ExitCode, Location, StackwrightError
    from stackwright.report.contents import installed

    prefix = shop.store.path(artefact.prefix.path)
    plan = installed(prefix, "plan.json")
    if hash_value(plan) != artefact.plan_hash:
        raise StackwrightError(
            f"the plan in the prefix of {artefact.label} is not the one that was certified",
            where=Location(prefix),
            hint="restore it from a backup, or build, validate and certify the label again",
            code=ExitCode.INVALID,
        )
    return plan["machine"].get("injections", [])


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
