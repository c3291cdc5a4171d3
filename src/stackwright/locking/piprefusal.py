"""Why pip finds no wheels: the requirement to blame, in its place in the stack file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stackwright.errors import StackwrightError
from stackwright.inputs.requirements import PROVIDERS
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan

ELSEWHERE = "pip looks where its own configuration says: pip config list"

_NO_WHEEL = re.compile(
    r"ERROR: Could not find a version that satisfies the requirement (?P<need>\S+)"
    r"(?: \(from (?P<by>[^ )]+)\))? \(from versions: (?P<versions>.*)\)"
)
_CONFLICT = re.compile(r"ERROR: Cannot install (?P<needs>.+) because these package versions have")
_CAUSE = re.compile(r"    (.+ depends on .+|The user requested .+)")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SHOWN = 5


def explain(lines: Sequence[str], plan: Plan, site: Site) -> StackwrightError | None:
    """What pip's output says about one requirement or several; None if it is about something else.

    Args:
        lines: everything that ``pip install`` (25 or later) printed.
    """
    for line in lines:
        if found := _NO_WHEEL.match(line):
            return _no_wheel(found["need"], found["by"], found["versions"], plan, site)
        if found := _CONFLICT.match(line):
            return _conflict(found["needs"], lines, plan, site)
    return None


def _no_wheel(need: str, by: str | None, versions: str, plan: Plan, site: Site) -> StackwrightError:
    there = [] if versions == "none" else versions.split(", ")
    needed = f", which {by} needs," if by else ""
    newest = f"; the newest that it finds: {', '.join(there[-_SHOWN:])}" if there else ""
    return StackwrightError(
        f"pip finds no wheel of {need}{needed} for Python {plan.python} and glibc"
        f" {plan.machine.os.glibc}{newest}",
        where=site.place_of_requirement(plan.label, _name(by or need)),
        hint=_hint(need, there),
    )


def _hint(need: str, there: Sequence[str]) -> str:
    if "+cpu" in need and not any("+cpu" in version for version in there):
        return (
            "PyTorch's +cpu wheels are on the CPU index that pytorch.org names:"
            " set PIP_EXTRA_INDEX_URL to it"
        )
    return f"ask for one of these, or: {ELSEWHERE}" if there else f"is its name right? {ELSEWHERE}"


def _conflict(needs: str, lines: Sequence[str], plan: Plan, site: Site) -> StackwrightError:
    causes = [f"  {found[1]}" for line in lines if (found := _CAUSE.fullmatch(line))]
    return StackwrightError(
        "\n".join([f"no versions go together of {needs}", *dict.fromkeys(causes)]),
        where=site.place_of_requirement(plan.label, _name(needs)),
        hint="allow other versions of one of them in the stack file",
    )


def _name(requirement: str) -> str:
    """The package that a requirement, or the first of several, is about."""
    match = _NAME.match(requirement)
    return PROVIDERS["wheel"].read(match.group()).name if match else requirement
