"""Why Spack finds no solution: its reasons, without the rules that led there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan
from stackwright.spack.blame import place_of

_ERROR = re.compile(r"==> Error: (?P<what>.+)")
_REASON = re.compile(r"\s*\d+\. (?P<why>.+)")
_BECAUSE = re.compile(r"\s*required because (?P<because>.+)")
_ADVICE = re.compile(r"\s*(\. )?You could consider setting `concretizer:unify`.*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_SHOWN = 5


def explain(lines: Sequence[str], plan: Plan, site: Site) -> StackwrightError | None:
    """What Spack's output says of a failed concretization; None if it says nothing.

    Its place is that of the spec whose package the reasons name first.

    Args:
        lines: everything that ``spack concretize`` printed.
    """
    start = next((i for i, line in enumerate(lines) if _ERROR.match(line)), None)
    if start is None:
        return None
    reasons = [*dict.fromkeys(_reasons(lines[start:]))] or [_only(lines[start])]
    more = [f"  and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
    shown = [f"  {reason}" for reason in reasons[:_SHOWN]]
    return StackwrightError(
        "\n".join([f"Spack finds no solution for {plan.label}:", *shown, *more]),
        where=place_of((name for why in reasons for name in _NAME.findall(why)), plan, site),
        hint="allow other versions or variants there, or in the system file; to try it by hand:"
        f" stackwright render '{plan.label}' -o DIR",
    )


def _reasons(lines: Sequence[str]) -> Iterator[str]:
    """Each reason, with the first requirement that led to it."""
    for number, line in enumerate(lines):
        if found := _REASON.match(line):
            after = lines[number + 1] if number + 1 < len(lines) else ""
            because = _BECAUSE.match(after)
            why = _plain(found["why"])
            yield f"{why}, as {_plain(because['because'])}" if because else why


def _only(line: str) -> str:
    found = _ERROR.match(line)
    return _plain(found["what"]) if found else line


def _plain(text: str) -> str:
    return _ADVICE.sub("", text).strip().rstrip(".")
