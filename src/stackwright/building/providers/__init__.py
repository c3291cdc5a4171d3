"""Providers: how a framework gets into a stack. Each is a table of steps; see steps.py."""

from __future__ import annotations

from collections.abc import Mapping

from stackwright.building.providers import spack, wheel
from stackwright.building.providers.steps import Step
from stackwright.plans.plan import Plan

# By provider and kind of base. The first step makes the base.
_STEPS: Mapping[tuple[str, str], tuple[Step, ...]] = {
    ("wheel", "debian"): (wheel.DEBIAN_BASE, *wheel.STEPS),
    ("wheel", "image"): (wheel.IMAGE_BASE, *wheel.STEPS),
    ("spack", "debian"): (wheel.DEBIAN_BASE, *spack.STEPS),
    ("spack", "image"): (wheel.IMAGE_BASE, *spack.STEPS),
}


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan."""
    return _STEPS[plan.provider, plan.base.kind]
