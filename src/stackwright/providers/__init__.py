"""Providers: how a framework gets into a stack. Each is a table of steps; see steps.py."""

from __future__ import annotations

from collections.abc import Mapping

from stackwright.providers import wheel
from stackwright.providers.steps import Step

PROVIDER_STEPS: Mapping[str, tuple[Step, ...]] = {"wheel": wheel.STEPS}
