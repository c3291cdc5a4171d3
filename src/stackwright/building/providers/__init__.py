"""Providers: how a framework gets into a stack. Each is a table of steps; see steps.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stackwright.building.providers import spack, wheel
from stackwright.building.providers.steps import Step
from stackwright.plans.plan import Plan

_STEPS: Mapping[str, Callable[[Plan], tuple[Step, ...]]] = {
    "wheel": wheel.steps,
    "spack": spack.steps,
}


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan. The first one makes the base."""
    return _STEPS[plan.provider](plan)
