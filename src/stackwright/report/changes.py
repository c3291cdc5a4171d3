"""What differs between the release that users have and the candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from stackwright.certify.coverage import Coverage, altered, difference, shrank
from stackwright.report.model import JsonObject, ReportData


@dataclass(frozen=True)
class Change:
    """One difference; the side on which the name is missing is None."""

    name: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        """What happened to the name."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True)
class CaseChecks:
    """The checks of a case that only one of the two judgements has."""

    case: str
    checks: tuple[Change, ...]


@dataclass(frozen=True)
class Changes:
    """Differences by what they are about; checks are named ``case / check``.

    Args:
        coverage: one line for what the suite asks otherwise; None if it asks the same cases.
        shrank: whether something was asked before that is asked no more, or may be asked no more.
        suite: the suite's name, and the cases that are gone or new, with their verdicts.
        by_spack: packages of Spack's with another spec: version, compiler, variants, target, hash.
        wheels: those with other bytes under the same version.
        overlay: files that it adds, by their hashes.
        fields: of plan and lock, as far as no other list shows them.
        checks: those of the cases that both judgements have.
        gone: the checks of cases that the release had and the candidate has not.
        new: the checks of cases that only the candidate has.
    """

    coverage: str | None
    shrank: bool
    suite: tuple[Change, ...]
    packages: tuple[Change, ...]
    env: tuple[Change, ...]
    os_packages: tuple[Change, ...]
    by_spack: tuple[Change, ...]
    wheels: tuple[Change, ...]
    overlay: tuple[Change, ...]
    fields: tuple[Change, ...]
    checks: tuple[Change, ...]
    gone: tuple[CaseChecks, ...]
    new: tuple[CaseChecks, ...]

    @property
    def all_checks(self) -> tuple[Change, ...]:
        """Every check that reads differently, whichever its case, in alphabetical order."""
        lone = (change for case in (*self.gone, *self.new) for change in case.checks)
        return tuple(sorted((*self.checks, *lone), key=lambda change: change.name))


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """Names whose values differ, in alphabetical order."""
    names = sorted(before.keys() | after.keys())
    found = (Change(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in found if change.before != change.after)


def changes(data: ReportData) -> Changes | None:
    """Everything that changed since the last release; None if there is none."""
    if data.previous is None:
        return None
    old, new = data.previous.plan, data.plan
    before, after = data.previous.coverage, _coverage(data.judgement)
    read, reads = _checks(data.previous.judgement), _checks(data.judgement)
    return Changes(
        coverage=difference(before, after),
        shrank=shrank(before, after) or altered(before, after),
        suite=compare(_asked(before, after), _asked(after, before)),
        packages=compare(dict(old.packages), dict(new.packages)),
        env=compare(old.env, new.env),
        os_packages=compare(dict(old.os_packages), dict(new.os_packages)),
        by_spack=compare(old.by_spack, new.by_spack),
        wheels=tuple(one for one in compare(old.wheels, new.wheels) if one.kind == "changed"),
        overlay=compare(old.overlay, new.overlay),
        fields=compare(old.fields, new.fields),
        checks=tuple(
            change for case in sorted(read.keys() & reads) for change in _of(case, read, reads)
        ),
        gone=_lone(read.keys() - reads, read, reads),
        new=_lone(reads.keys() - read, read, reads),
    )


def _coverage(judgement: JsonObject) -> Coverage:
    cases = frozenset(case["id"] for case in judgement["cases"])
    return Coverage(judgement["suite"]["name"], judgement["suite"]["digest"], cases)


def _asked(one: Coverage, other: Coverage) -> dict[str, str]:
    """The suite's name, and the cases that only this one asks."""
    return {"suite": one.suite, **dict.fromkeys(one.cases - other.cases, "asked")}


_Readings = Mapping[str, Mapping[str, str]]


def _checks(judgement: JsonObject) -> _Readings:
    """How each check reads, by case and by ``case / check``."""
    return {
        case["id"]: {f"{case['id']} / {check['name']}": _reading(check) for check in case["checks"]}
        for case in judgement["cases"]
    }


def _of(case: str, before: _Readings, after: _Readings) -> tuple[Change, ...]:
    return compare(before.get(case, {}), after.get(case, {}))


def _lone(names: Iterable[str], before: _Readings, after: _Readings) -> tuple[CaseChecks, ...]:
    found = (CaseChecks(case, _of(case, before, after)) for case in sorted(names))
    return tuple(case for case in found if case.checks)


def _reading(check: JsonObject) -> str:
    return f"{'holds' if check['ok'] else 'FAILS'}: {check['detail']}"
