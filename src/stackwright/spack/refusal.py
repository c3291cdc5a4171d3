"""Why Spack finds no solution: its reasons, without the rules that led there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan

_ERROR = re.compile(r"==> Error: (?P<what>.*)")
_REASON = re.compile(r"\s*\d+\. (?P<why>.+)")
_SHOWN = 5


def explain(lines: Sequence[str], plan: Plan, site: Site) -> StackwrightError | None:
    """What Spack's output says of a failed concretization; None if it says something else.

    Args:
        lines: everything that ``spack concretize`` printed.
    """
    start = next((i for i, line in enumerate(lines) if _ERROR.match(line)), None)
    if start is None:
        return None
    reasons = [f"  {found['why']}" for line in lines[start:] if (found := _REASON.match(line))]
    if not reasons:
        return None
    more = [f"  and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
    return StackwrightError(
        "\n".join([f"Spack finds no solution for {plan.label}:", *reasons[:_SHOWN], *more]),
        where=site.place_in_stack(plan.stack, "variants", plan.variant),
        hint=f"allow more in the stack's or the system's file; Spack says all of it by:"
        f" stackwright render '{plan.label}' -o DIR, then spack -e DIR/spack concretize",
    )
