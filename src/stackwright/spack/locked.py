"""The part of a lock that Spack decided: whether it is there, and fits what it would be asked."""

from __future__ import annotations

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.site import Site
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.spack.dialect import dialect_of
from stackwright.spack.environment import FOLDER, inputs_hash, render_environment
from stackwright.spack.lockfile import SpackLock, load_spack_lock


def spack_locked(plan: Plan, lock: Lock, site: Site) -> SpackLock:
    """What Spack decided for a plan and its wheels.

    Raises:
        StackwrightError: it was never asked, or it was asked something else; names the command.
    """
    path, relock = site.spack_lock_file(plan.label), f"stackwright lock '{plan.label}'"
    if not path.is_file():
        raise StackwrightError(f"{plan.label} has no lock of Spack", hint=relock)
    found = load_spack_lock(path, plan.label)
    if stale(found, plan, lock, site):
        raise StackwrightError(
            f"Spack's lock of {plan.label} is stale: what it would be asked has changed since",
            where=Location(path),
            hint=relock,
        )
    return found


def stale(found: SpackLock, plan: Plan, lock: Lock, site: Site) -> bool:
    """Whether Spack would be asked something else now than it was; Spack itself isn't needed."""
    files = render_environment(plan, lock, dialect_of(found.spack.version), site)
    return inputs_hash(files) != found.inputs


def spack_stale(plan: Plan, lock: Lock, site: Site) -> bool:
    """Whether a plan has a lock of Spack, and it doesn't fit any more."""
    path = site.spack_lock_file(plan.label)
    if plan.spack is None or not path.is_file():
        return False
    return stale(load_spack_lock(path, plan.label), plan, lock, site)


def recipe_files(plan: Plan, found: SpackLock, lock: Lock, site: Site) -> dict[str, bytes]:
    """The environment and its lock, as they lie in a recipe."""
    files = render_environment(plan, lock, dialect_of(found.spack.version), site)
    return {
        "spack-install.sh": site.own("images/spack-install.sh").read_bytes(),
        f"{FOLDER}/spack.lock": found.spack_lock,
        **{f"{FOLDER}/{name}": content for name, content in files.items()},
    }
