"""Where it is written what Spack can't do: the line of a spec, if it is known of which package."""

from __future__ import annotations

from collections.abc import Iterable

from stackwright.errors import Location
from stackwright.inputs.site import Site
from stackwright.inputs.spackspecs import read_spec
from stackwright.inputs.stackfile import place_of_requirement
from stackwright.plans.plan import Plan


def place_of(packages: Iterable[str], plan: Plan, site: Site) -> Location:
    """Where the first of these packages is asked for that the stack or the system asks for.

    That is a spec of the stack's, or one that the system requires; the variant if neither has one.
    """
    label, stack = plan.label, site.stack(plan.stack)
    spack = site.system(plan.system).spack
    required = [read_spec(spec).name for spec in spack.requires] if spack else []
    for package in packages:
        path = place_of_requirement(stack, label.version, label.variant, package)
        if path[-2] in ("frameworks", "packages"):
            return site.place_in_stack(plan.stack, *path)
        if package in required:
            return site.place_in_system(plan.system, "spack", "requires", required.index(package))
    return site.place_in_stack(plan.stack, "variants", plan.variant)
