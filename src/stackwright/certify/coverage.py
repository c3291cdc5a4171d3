"""What two certificates asked: a suite that shrinks between two releases must not do so unseen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stackwright.certify.statement import Predicate

_NAMED = 5
"""How many cases a line names; the report names each."""


@dataclass(frozen=True)
class Coverage:
    """A suite's name and digest, and the ids of the cases that it asked."""

    suite: str
    digest: str
    cases: frozenset[str]

    @classmethod
    def of(cls, predicate: Predicate) -> Coverage:
        """What a certificate says was asked."""
        return cls(predicate.suite.name, predicate.suite.digest, frozenset(predicate.cases))


def shrank(before: Coverage, after: Coverage) -> bool:
    """Whether something was asked before that is asked no more."""
    return not before.cases <= after.cases


def altered(before: Coverage, after: Coverage) -> bool:
    """Whether a suite has its name and its cases still, but not its content.

    Then a floor may be lower, a delta larger, an argument another. A certificate tells only that
    there is a difference; the job.json of both runs tell which.
    """
    named = before.suite == after.suite and before.cases == after.cases
    return named and before.digest != after.digest


def difference(before: Coverage, after: Coverage) -> str | None:
    """One line, such as ``suite: certify -> smoke, 2 cases gone: a, b``; None for equal ones."""
    parts = (
        _listed(before.cases - after.cases, "gone"),
        _listed(after.cases - before.cases, "new"),
    )
    found = ", ".join(filter(None, parts))
    if altered(before, after):
        return f"suite: {after.suite}, the same cases, but it was altered: it may ask less of them"
    if before.suite == after.suite and not found:
        return None
    name = after.suite if before.suite == after.suite else f"{before.suite} -> {after.suite}"
    return f"suite: {name}, {found or 'the same cases'}"


def _listed(cases: Iterable[str], what: str) -> str:
    names = sorted(cases)
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = "1 case" if len(names) == 1 else f"{len(names)} cases"
    return f"{count} {what}: {', '.join(names[:_NAMED])}{more}"
