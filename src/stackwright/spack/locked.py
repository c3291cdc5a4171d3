"""The part of a lock that Spack decided: whether it is there, and fits what it would be asked."""

from __future__ import annotations

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.site import Site
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.spack.asked import check
from stackwright.spack.dialect import dialect_of
from stackwright.spack.environment import (
    FOLDER,
    inputs_hash,
    render_environment,
    rendered_for,
)
from stackwright.spack.lockfile import SpackLock, load_spack_lock


def spack_lock_of(plan: Plan, site: Site) -> SpackLock | None:
    """What Spack decided for a plan, whether it fits or not; None if it was never asked."""
    path = site.spack_lock_file(plan.label)
    return load_spack_lock(path, plan.label) if path.is_file() else None


def spack_locked(plan: Plan, lock: Lock | None, site: Site) -> SpackLock:
    """What Spack decided for a plan.

    Args:
        lock: the wheels that its packages are made of; None where it is made from source.

    Raises:
        StackwrightError: it was never asked, it was asked something else, or it holds something
            else than was asked for; names the command.
    """
    found, relock = spack_lock_of(plan, site), f"stackwright lock '{plan.label}'"
    if found is None:
        raise StackwrightError(f"{plan.label} has no lock of Spack", hint=relock)
    if stale(found, plan, lock, site):
        raise StackwrightError(
            f"Spack's lock of {plan.label} is stale: what it would be asked has changed since",
            where=Location(site.spack_lock_file(plan.label)),
            hint=relock,
        )
    check(found.lock, plan, lock, site)
    return found


def locked_from_source(plan: Plan, site: Site) -> bool:
    """Whether a plan is made from source, and Spack's lock of it fits."""
    try:
        return plan.from_source and spack_locked(plan, None, site) is not None
    except StackwrightError:
        return False


def stale(found: SpackLock, plan: Plan, lock: Lock | None, site: Site) -> bool:
    """Whether Spack would be asked something else now than it was; Spack itself isn't needed."""
    files = render_environment(plan, lock, dialect_of(found.spack.version), site)
    return inputs_hash(files) != found.inputs


def recipe_files(
    plan: Plan, found: SpackLock | None, lock: Lock | None, site: Site
) -> dict[str, bytes]:
    """The environment, and its lock if there is one, as they lie in a recipe."""
    dialect = dialect_of(found.spack.version) if found else rendered_for(plan)
    files = render_environment(plan, lock, dialect, site)
    if found:
        files["spack.lock"] = found.spack_lock
    return {f"{FOLDER}/{name}": content for name, content in files.items()}
