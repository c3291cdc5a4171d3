"""Providers: how a framework gets into a stack. Each is a table of steps; see steps.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stackwright.building.providers import spack, spacksource, wheel
from stackwright.building.providers.steps import Step
from stackwright.plans.plan import Plan

_SOURCE = "spack from source"
_STEPS: Mapping[str, Callable[[Plan], tuple[Step, ...]]] = {
    "wheel": wheel.steps,
    "spack": spack.steps,
    _SOURCE: spacksource.steps,
}
_LAYERS: Mapping[str, Callable[[Plan], tuple[str, ...]]] = {
    "wheel": wheel.layers,
    "spack": wheel.layers,
    _SOURCE: spacksource.layers,
}


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan. The first one makes the base."""
    return _STEPS[_kind(plan)](plan)


def layers_of(plan: Plan) -> tuple[str, ...]:
    """The layers of a plan's prefix, the lowest first; each is named as the step that makes it."""
    return _LAYERS[_kind(plan)](plan)


def _kind(plan: Plan) -> str:
    return _SOURCE if plan.from_source else plan.provider
