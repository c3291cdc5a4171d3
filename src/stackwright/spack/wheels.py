"""The wheels that Spack installs: those that another variant of the stack has locked."""

from __future__ import annotations

from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs, locked
from stackwright.locking.locks import Lock, load_lock
from stackwright.plans.plan import Plan, resolve
from stackwright.spack.environment import facts_of


def lock_of_wheels(plan: Plan, site: Site) -> Lock:
    """The base and the wheels of the other variant, as a lock of this one.

    Its own base stays where it has one that fits, which may be newer.

    Raises:
        StackwrightError: the other one has no lock that fits; names the command.
    """
    variant = facts_of(plan).wheels
    assert variant is not None, plan.label  # noqa: S101
    label = Label(plan.stack, plan.version, variant, plan.system)
    other = locked(resolve(site, label), site)
    new = other.model_copy(update={"label": str(plan.label), "inputs": lock_inputs(plan)})
    path = site.lock_file(plan.label)
    own = load_lock(path, plan.label) if path.is_file() else None
    kept = own is not None and own.inputs == new.inputs and own.wheels == new.wheels
    return own if own and kept else new
