"""Whether Spack's recipes have what is asked for, before its solver looks for a way to have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.inputs.spackspecs import read_spec
from stackwright.inputs.suggest import did_you_mean
from stackwright.plans.plan import Plan
from stackwright.spack.blame import place_of
from stackwright.spack.environment import facts_of, source_roots

_SHOWN = 6


def question(plan: Plan, environment: Path, site: Site) -> Sequence[str]:
    """The arguments by which Spack tells which of a plan's specs no recipe can give."""
    program = site.own("images/spack_known.py")
    specs = (*source_roots(plan), *facts_of(plan).site.requires)
    return ["-e", str(environment), "python", str(program), *specs]


def check_known(answer: str, plan: Plan, site: Site) -> None:
    """Check what Spack says to the question.

    Raises:
        StackwrightError: there is no such package, version or variant; names those that there are.
    """
    lacking = json.loads(answer.splitlines()[-1])
    if not lacking:
        return
    raise StackwrightError(
        "\n".join(
            [
                f"Spack's packages can't give what {plan.label} asks for:",
                *(f"  {_told(**each)}" for each in lacking[:_SHOWN]),
            ]
        ),
        where=place_of((read_spec(each["spec"]).name for each in lacking), plan, site),
        hint="ask for what there is, or name other packages: docs/spack.md",
    )


def _told(spec: str, kind: str, named: str, offers: Sequence[str]) -> str:
    some = f"{', '.join(offers[:_SHOWN])}{', ...' if len(offers) > _SHOWN else ''}"
    if kind == "version":
        return f"{spec}: there are the versions {some}"
    if kind == "virtual":
        return f"{spec}: it is no package; those that provide it are {some}"
    of = "" if kind == "package" else f" of {read_spec(spec).name}"
    return f"{spec}: there is no {kind} '{named}'{of}{did_you_mean(named, offers)}"
