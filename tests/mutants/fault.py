"""A fault of the catalogue, what came of injecting it, and whether that counts as caught."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from stackwright.inputs.fields import Line, Model, Name, Word
from stackwright.inputs.yamlfile import load
from stackwright.validation.judgement import CaseJudgement, Verdict

HERE = Path(__file__).parent
SHOWN = 60
"""Characters of a reason that the table has room for."""
NEVER = "never reported"


class Fault(Model):
    """An entry of catalogue.yaml, which explains the keys."""

    name: Name
    what: Line
    case: Word = ""
    suite: Name = "certify"
    verdicts: tuple[Verdict, ...] = ("FAIL",)
    checks: tuple[Word, ...] = ()
    perhaps: tuple[Word, ...] = ()
    command: Name = ""
    reason: Line = ""
    code: Name = ""
    timeout_s: int | None = None
    minutes: bool = False

    @model_validator(mode="after")
    def _says_what_must_catch_it(self) -> Fault:
        if not self.case and not self.command:
            raise ValueError("neither 'case' nor 'command': nothing is meant to catch it")
        if not self.checks and not self.reason:
            raise ValueError("neither 'checks' nor 'reason': any refusal would do")
        if "PASS" in self.verdicts:
            raise ValueError("a fault that may PASS is not caught")
        return self

    @property
    def injector(self) -> str:
        """The file or function that injects it: of its own name, unless it shares one."""
        return self.code or self.name

    @property
    def by_metrics(self) -> bool:
        """Whether what is measured has to show it: no check, and the run comes to its end."""
        return not self.checks and "FAIL" in self.verdicts


class Catalogue(Model):
    """All faults, by how they are injected."""

    start_up: tuple[Fault, ...]
    prefix: tuple[Fault, ...]
    library: tuple[Fault, ...]
    attack: tuple[Fault, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Catalogue:
        names = [fault.name for fault in self]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"faults named twice: {', '.join(twice)}")
        return self

    def ways(self) -> Mapping[str, tuple[Fault, ...]]:
        """The faults by how they are injected, as the table says it."""
        return {
            "start-up": self.start_up,
            "prefix": self.prefix,
            "library": self.library,
            "attack": self.attack,
        }

    def __iter__(self) -> Iterator[Fault]:  # type: ignore[override]
        """All faults, in the order of the file."""
        return iter((*self.start_up, *self.prefix, *self.library, *self.attack))


def enough(faults: Sequence[Fault]) -> frozenset[str]:
    """The names of those without which some check of a case would not be seen to fail at all.

    A fault whose checks others before it have failed as well is for `make mutants`; and so are
    those of the suites of other frameworks, but for the first of each.
    """
    seen: set[tuple[str, str]] = set()
    names = set()
    others = {fault.suite: fault.name for fault in reversed(faults) if fault.suite != "certify"}
    names |= set(others.values())
    for fault in (fault for fault in faults if fault.suite == "certify"):
        script = fault.case.partition(".")[0]
        shows = {(script, what) for what in fault.checks or (fault.reason,)}
        if not shows <= seen:
            names.add(fault.name)
        seen |= shows
    return frozenset(names)


def load_catalogue() -> Catalogue:
    """Read catalogue.yaml.

    Raises:
        ManyErrors: every mistake in it, in its place.
    """
    return load(HERE / "catalogue.yaml", Catalogue)


@dataclass(frozen=True)
class Outcome:
    """What the gate said of a case, or a command of an attack.

    Args:
        verdict: the case's; "REFUSED" where no case decides but a command.
        checks: those that were reported, and failed.
        said: reasons and errors, as a reviewer reads them.
        refused: whether the command that had to refuse did; judging refuses by its verdict.
    """

    verdict: str
    checks: frozenset[str]
    said: str
    refused: bool = True

    @staticmethod
    def of(case: CaseJudgement) -> Outcome:
        """What was found in a case."""
        failed = (c.name for c in case.checks if not c.ok and c.detail != NEVER)
        metrics = (f"{m.name} {m.verdict}: {r}" for m in case.metrics for r in m.reasons)
        told = metrics if not case.reasons else ()  # metrics of a spoiled case are not judged
        return Outcome(case.verdict, frozenset(failed), "; ".join((*case.reasons, *told)))


def shortfalls(fault: Fault, control: str, found: Outcome) -> list[str]:
    """Why a fault does not count as caught; empty if it does.

    Args:
        control: the verdict on the same case without the fault.
    """
    return [*_meaningless(control, found), *_missed(fault, found)]


def _meaningless(control: str, found: Outcome) -> Iterator[str]:
    """A case that does not pass on a healthy stack shows nothing, or only a FAIL where noisy."""
    if control == "PASS" or (control == "INCONCLUSIVE" and found.verdict == "FAIL"):
        return
    yield f"the healthy control is {control}, so that {found.verdict} shows nothing"


def _missed(fault: Fault, found: Outcome) -> Iterator[str]:
    if fault.case and found.verdict not in fault.verdicts:
        yield f"the verdict is {found.verdict}, not {' or '.join(fault.verdicts)}"
    if missed := set(fault.checks) - found.checks:
        yield f"not caught by {', '.join(sorted(missed))}"
    if stray := found.checks - {*fault.checks, *fault.perhaps}:
        yield f"caught by {', '.join(sorted(stray))}, which it should not concern"
    if not found.refused:
        yield "the command that had to refuse it did not"
    if fault.reason not in found.said:
        yield f"nothing says {fault.reason!r}"


@dataclass(frozen=True)
class Row:
    """A line of the kill table."""

    fault: str
    what: str
    way: str
    meant: str
    required: str
    control: str
    verdict: str
    caught_by: str
    seconds: float
    missed: tuple[str, ...]

    @property
    def killed(self) -> bool:
        """Whether the fault was caught as it should be."""
        return not self.missed

    def to_json(self) -> Mapping[str, Any]:
        """The row for other programs."""
        return {**asdict(self), "killed": self.killed}


def make_row(fault: Fault, way: str, control: str, found: Outcome, seconds: float) -> Row:
    """Put together what is known of a fault."""
    return Row(
        fault=fault.name,
        what=fault.what,
        way=way,
        meant=fault.case or fault.command,
        required=" or ".join(fault.verdicts) if fault.case else "REFUSED",
        control=control,
        verdict=found.verdict,
        caught_by=_shown(", ".join(sorted(found.checks)) or _telling(fault.reason, found.said)),
        seconds=seconds,
        missed=tuple(shortfalls(fault, control, found)),
    )


def _telling(reason: str, said: str) -> str:
    """The part of what was said that holds the reason; from the reason on where that is long."""
    part = next((p for p in re.split("; |\n", said) if reason in p), said)
    return part if len(part) <= SHOWN else part[max(part.find(reason), 0) :]


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def table(rows: Sequence[Row]) -> list[str]:
    """The rows in columns, under a line of headings."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


HEADINGS = ("fault", "injected as", "caught by", "required", "control", "found", "seconds", "why")


def _cells(row: Row) -> tuple[str, ...]:
    found = row.verdict if row.killed else f"{row.verdict}: SURVIVED"
    seconds = f"{row.seconds:.0f}"
    required, why = row.required, row.caught_by
    return row.fault, row.way, row.meant, required, row.control, found, seconds, why
