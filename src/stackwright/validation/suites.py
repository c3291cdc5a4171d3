"""Suite files: which cases run, how they are launched, and what each has to show.

A suite is a YAML file in validation/suites/; its scripts lie in validation/cases/. A case of a
suite is written once and expands to one concrete case per launch and channel, with an id such as
`gradients.torchrun-2.image`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from stackwright.canonical import check_inside, hash_file, hash_folder, hash_value
from stackwright.errors import Location, StackwrightError
from stackwright.inputs.fields import PART, Line, Model, Name, Value, Word
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors
from stackwright.validation.launch import Launcher
from stackwright.validation.rule import check_looks

Channel = Literal["image", "module"]
Fraction = Annotated[float, Field(gt=0, lt=1)]

PAYLOAD_FOLDERS = ("cases", "probes")
PLACEHOLDER = re.compile(r"@(\w+)@")
PLACEHOLDERS = ("RANKS", "THREADS", "VERSIONS")
DRIVERS_PLACEHOLDERS = ("OUT", "NAME", "NONCE", "STARTED")
"""Filled in by the driver for each run, not here."""
FOR_LOOKING = "a part of the suite, for looking only: no certificate comes of it"


class Launch(Model):
    """How many processes a case has, of how many threads each, and what starts them."""

    launcher: Launcher
    ranks: PositiveInt
    threads: PositiveInt

    @model_validator(mode="after")
    def _none_starts_one(self) -> Launch:
        if self.launcher == "none" and self.ranks > 1:
            raise ValueError(f"launcher 'none' starts 1 rank, not {self.ranks}: use torchrun")
        return self


class Metric(Model):
    """A figure that a case reports, and the ceiling that it is held against (docs/formats.md)."""

    name: Word
    unit: Line
    direction: Literal["higher", "lower"] = "higher"
    delta: Fraction = 0.05
    roofline: Word | None = None
    floor: Fraction | None = None
    roofline_floor: PositiveFloat | None = None

    @model_validator(mode="after")
    def _whole_or_no_ceiling(self) -> Metric:
        given = [v is not None for v in (self.roofline, self.floor, self.roofline_floor)]
        if any(given) and not all(given):
            raise ValueError("'roofline', 'floor' and 'roofline_floor' go together: give all three")
        return self


class Case(Model):
    """A script with its arguments, run once per launch and channel.

    ``needs`` names capabilities: where the system lacks one, the case is UNAVAILABLE.
    """

    name: Name
    script: Name
    args: tuple[Value, ...] = ()
    needs: tuple[Name, ...] = ()
    launches: tuple[Launch, ...] = Field(min_length=1)
    channels: tuple[Channel, ...] = Field(min_length=1)
    timeout_s: PositiveInt
    looks: tuple[PositiveInt, ...] = ()
    checks: tuple[Word, ...] = ()
    metrics: tuple[Metric, ...] = ()

    @field_validator("looks")
    @classmethod
    def _looks_can_decide(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if looks:
            check_looks(looks)
        return looks

    @model_validator(mode="after")
    def _shows_something(self) -> Case:
        if not self.checks and not self.metrics:
            raise ValueError(
                "no 'checks' and no 'metrics': a case that shows nothing always passes"
            )
        if bool(self.looks) != bool(self.metrics):
            raise ValueError("'looks' and 'metrics' go together: pairs of runs compare metrics")
        metrics = [metric.name for metric in self.metrics]
        lists = (("needs", self.needs), ("checks", self.checks), ("metrics", metrics))
        for kind, names in lists:
            if twice := _repeated(names):
                raise ValueError(f"{kind} named twice: {', '.join(twice)}")
        return self


class Suite(Model):
    """A named set of cases; once loaded, it also holds those of the suites that it includes."""

    name: Name
    summary: Line
    includes: tuple[Name, ...] = ()
    cases: tuple[Case, ...] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> Suite:
        if not self.cases and not self.includes:
            raise ValueError("no 'cases', no 'includes': a suite that asks nothing always passes")
        return self


@dataclass(frozen=True)
class ConcreteCase:
    """One case of a job: the fields of docs/formats.md that suite and system decide."""

    id: str
    script: str
    args: tuple[str, ...]
    channel: Channel
    launch: Launch
    timeout_s: int
    looks: tuple[int, ...]
    checks: tuple[str, ...]
    metrics: tuple[Metric, ...]
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """A suite, or, as another one by name and digest, only those of its cases that are named.

    Args:
        path: the suite's file.
        only: names of cases, or ids, of which launch and channel may be left out; none for all.
    """

    path: Path
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a job calls its suite."""
        return f"{PART}{self.path.stem}" if self.only else self.path.stem

    def digest(self) -> str:
        """Hash the suite's files, and for a part what is asked of them.

        Raises:
            ManyErrors: as `suite_digest`.
        """
        whole = suite_digest(self.path)
        return hash_value({PART: whole, "only": sorted({*self.only})}) if self.only else whole

    def cases(
        self, values: Mapping[str, str], capabilities: Collection[str] = ()
    ) -> tuple[ConcreteCase, ...]:
        """Give what `expand` gives of the suite, as far as it is asked for.

        Raises:
            ManyErrors: as `load_suite`.
            StackwrightError: the suite has no such case.
        """
        every = expand(load_suite(self.path), values, capabilities)
        known = dict.fromkeys(name for case in every for name in _names_of(case))
        for name in self.only:
            if name not in known:
                raise StackwrightError(
                    f"suite '{self.path.stem}' has no case '{name}'{did_you_mean(name, known)}",
                    where=Location(self.path),
                    hint=f"its cases: {', '.join(dict.fromkeys(_names_of(c)[0] for c in every))}",
                )
        return tuple(c for c in every if not self.only or {*self.only} & {*_names_of(c)})


def called(suite: str) -> str:
    """What a sentence calls a job's suite."""
    of = suite.removeprefix(PART)
    return f"suite '{of}'" if of == suite else f"a {PART}suite '{of}'"


def load_suite(path: Path) -> Suite:
    """Read a suite from `validation/suites/<name>.yaml`; the cases that it includes come first.

    Raises:
        ManyErrors: every mistake in the file, in its place; also scripts and included suites that
            don't exist, placeholders that nothing fills, suites that include each other, and cases
            that would expand to the same id.
    """
    documents = _with_included(path)
    for file, document in documents.items():
        if errors := [
            *_name_errors(document, file),
            *_script_errors(document, file),
            *_placeholder_errors(document),
        ]:
            raise many_errors(errors)
        if errors := list(_id_errors(document, document.value)):
            raise many_errors(errors)
    cases = dict.fromkeys(case for d in documents.values() for case in d.value.cases)
    suite = documents[path].value.model_copy(update={"cases": tuple(cases)})
    if errors := list(_id_errors(documents[path], suite)):
        raise many_errors(errors)
    return suite


def expand(
    suite: Suite, values: Mapping[str, str], capabilities: Collection[str] = ()
) -> tuple[ConcreteCase, ...]:
    """Give the suite's concrete cases, in the order of the file.

    Args:
        suite: a loaded suite.
        values: what `@VERSIONS@` in an argument stands for: the frameworks as
            `torch=2.13.0+cpu,numpy=2.4.6`. `@RANKS@` and `@THREADS@` are the launch's own.
        capabilities: those of the system; what a case needs beyond them it lacks.
    """
    return tuple(
        ConcreteCase(
            id=_id(case, launch, channel),
            script=case.script,
            args=tuple(_fill(arg, launch, values) for arg in case.args),
            channel=channel,
            launch=launch,
            timeout_s=case.timeout_s,
            looks=case.looks,
            checks=case.checks,
            metrics=case.metrics,
            lacks=tuple(need for need in case.needs if need not in capabilities),
        )
        for case, launch, channel in _combinations(suite)
    )


def lacking_cases(suite: Suite, least: Suite) -> list[str]:
    """The cases of the least suite of a system that another one leaves out or alters, by name."""
    lacking = (case.name for case in least.cases if case not in suite.cases)
    return list(dict.fromkeys(lacking))


def placed_needs(path: Path) -> Iterator[tuple[Location, str, str]]:
    """Each capability that a case needs: where its suite says so, the case and the capability.

    Raises:
        ManyErrors: as `load_suite`, where a file can't be read or does not exist.
    """
    for document in _with_included(path).values():
        for index, case in enumerate(document.value.cases):
            for position, need in enumerate(case.needs):
                yield document.where("cases", index, "needs", position), case.name, need


def suite_digest(path: Path) -> str:
    """Hash a suite's file, with those of the suites that it includes.

    Raises:
        ManyErrors: as `load_suite`, where a file can't be read or does not exist.
    """
    hashes = {file.name: hash_file(file) for file in _with_included(path)}
    return hash_value(hashes) if len(hashes) > 1 else hashes[path.name]


def payload_digest(validation: Path) -> str:
    """Hash everything that a case may run: names and bytes below cases/ and probes/."""
    return hash_value({folder: hash_folder(validation / folder) for folder in PAYLOAD_FOLDERS})


def _with_included(path: Path, above: tuple[str, ...] = ()) -> dict[Path, Document[Suite]]:
    """Read a suite and all that it includes, included ones first; `above` are what includes it."""
    check_inside(path, path.absolute().parents[2])  # the site
    document = load_document(path, Suite)
    if errors := list(_include_errors(document, path, (*above, path.stem))):
        raise many_errors(errors)
    found: dict[Path, Document[Suite]] = {}
    for name in document.value.includes:
        found |= _with_included(path.with_name(f"{name}.yaml"), (*above, path.stem))
    return found | {path: document}


def _combinations(suite: Suite) -> Iterator[tuple[Case, Launch, Channel]]:
    for case in suite.cases:
        for launch in case.launches:
            for channel in case.channels:
                yield case, launch, channel


def _id(case: Case, launch: Launch, channel: Channel) -> str:
    return f"{case.name}.{launch.launcher}-{launch.ranks}.{channel}"


def _names_of(case: ConcreteCase) -> tuple[str, str, str]:
    """Its name, without and with the launch, and its id."""
    name, launch, _ = case.id.split(".")
    return name, f"{name}.{launch}", case.id


def _fill(arg: str, launch: Launch, values: Mapping[str, str]) -> str:
    known = {**values, "RANKS": str(launch.ranks), "THREADS": str(launch.threads)}
    drivers = {word: f"@{word}@" for word in DRIVERS_PLACEHOLDERS}
    return PLACEHOLDER.sub(lambda match: (known | drivers)[match[1]], arg)


def _name_errors(document: Document[Suite], path: Path) -> Iterator[StackwrightError]:
    name = document.value.name
    if name != path.stem:
        hint = f"write 'name: {path.stem}', or rename the file to {name}.yaml"
        yield document.error(f"suite '{name}' lies in {path.name}", "name", hint=hint)


def _script_errors(document: Document[Suite], path: Path) -> Iterator[StackwrightError]:
    scripts = sorted(file.stem for file in (path.parent.parent / "cases").glob("*.py"))
    for index, case in enumerate(document.value.cases):
        if case.script not in scripts:
            what = f"unknown script '{case.script}'{did_you_mean(case.script, scripts)}"
            hint = f"write validation/cases/{case.script}.py (docs/adding-a-case.md)"
            yield document.error(what, "cases", index, "script", hint=hint)


def _placeholder_errors(document: Document[Suite]) -> Iterator[StackwrightError]:
    known = [f"@{word}@" for word in (*PLACEHOLDERS, *DRIVERS_PLACEHOLDERS)]
    for index, case in enumerate(document.value.cases):
        for position, arg in enumerate(case.args):
            for word in (match[0] for match in PLACEHOLDER.finditer(arg)):
                if word not in known:
                    what = f"nothing fills '{word}'{did_you_mean(word, known)}"
                    hint = f"use one of {', '.join(known)}"
                    yield document.error(what, "cases", index, "args", position, hint=hint)


def _include_errors(
    document: Document[Suite], path: Path, above: tuple[str, ...]
) -> Iterator[StackwrightError]:
    suites = sorted({file.stem for file in path.parent.glob("*.yaml")} - set(above))
    for index, name in enumerate(document.value.includes):
        place = ("includes", index)
        if name in above:
            round_trip = " includes ".join(f"'{n}'" for n in (*above[above.index(name) :], name))
            yield document.error(f"{round_trip}: no end", *place, hint="take one of them out")
        elif name not in suites:
            what = f"unknown suite '{name}'{did_you_mean(name, suites)}"
            yield document.error(what, *place, hint=f"write validation/suites/{name}.yaml")


def _id_errors(document: Document[Suite], suite: Suite) -> Iterator[StackwrightError]:
    ids = [_id(*combination) for combination in _combinations(suite)]
    names = [case.name for case in document.value.cases]
    for twice in _repeated(ids):
        hint = "give one of the cases another name, or take out the repeated launch or channel"
        name = twice.split(".")[0]
        last = len(names) - 1 - names[::-1].index(name) if name in names else 0
        place = ("cases", last, "name") if name in names else ("includes", 0)
        yield document.error(f"two cases have the id '{twice}'", *place, hint=hint)


def _repeated(names: list[str] | tuple[str, ...]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
