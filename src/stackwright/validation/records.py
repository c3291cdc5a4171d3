"""The records of job.json and results.jsonl as frozen values: docs/formats.md, word for word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from stackwright.validation.rule import check_looks

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Arm = Literal["candidate", "baseline"]
Number = float | Literal["nan", "inf", "-inf"]
NonNegativeInt = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Value(BaseModel):
    """Frozen; unknown keys, wrong types and NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Artefact(Value):
    """What one arm runs, by digest."""

    plan_hash: Digest
    image: Digest
    squashfs: Digest
    prefix: Digest


class Arms(Value):
    """The stack under test, and the released one that it is compared with."""

    candidate: Artefact
    baseline: Artefact | None


class SuiteRef(Value):
    """The suite that was asked for."""

    name: Name
    digest: Digest


class MetricSpec(Value):
    """A figure that a case must report, and what it is held to."""

    name: Name
    unit: str
    direction: Literal["higher", "lower"]
    delta: Fraction
    roofline: Name | None
    floor: PositiveFloat | None
    roofline_floor: PositiveFloat | None

    @model_validator(mode="after")
    def _roofline_is_whole(self) -> MetricSpec:
        given = {x is not None for x in (self.roofline, self.floor, self.roofline_floor)}
        if len(given) > 1:
            raise ValueError("roofline, floor and roofline_floor are given together or all null")
        return self


class Case(Value):
    """One validation run, or one series of paired runs; none where the system lacks something."""

    id: FileName
    case: Name
    channel: Name
    launcher: Name
    ranks: PositiveInt
    threads: PositiveInt
    timeout_s: PositiveFloat
    looks: tuple[PositiveInt, ...]
    argv: dict[Arm, tuple[str, ...]]
    kill: dict[Arm, tuple[str, ...]]
    env: dict[str, str]
    checks: tuple[Name, ...]
    metrics: tuple[MetricSpec, ...]
    lacks: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> Case:
        if bool(self.looks) != bool(self.metrics):
            raise ValueError("a case has both looks and metrics, or neither")
        if not self.checks and not self.metrics:
            raise ValueError("a case without checks and metrics would pass whatever happens")
        if self.looks:
            check_looks(self.looks)
        require_unique("check", self.checks)
        require_unique("metric", (m.name for m in self.metrics))
        return self


class Job(Value):
    """What was asked."""

    schema_: Literal["stackwright/job/1"] = Field(alias="schema")
    job_id: FileName
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    created: Name
    label: Name
    system: Name
    suite: SuiteRef
    payload: Digest
    files: Digest | None = None
    launcher: Literal["local", "srun"] = "local"
    runtime: Name | None = None
    seed: int
    arms: Arms
    host: dict[str, JsonValue]
    cases: tuple[Case, ...]

    @property
    def hostnames(self) -> tuple[str, ...]:
        """What the nodes call themselves over which srun starts the ranks; else none."""
        return _names(self.host.get("hostnames"))

    @model_validator(mode="after")
    def _srun_has_nodes(self) -> Job:
        nodes = _names(self.host.get("nodes"))
        if (self.launcher == "srun") != bool(nodes):
            raise ValueError("the host names its nodes if, and only if, srun is the launcher")
        if len(self.hostnames) != len(nodes):
            raise ValueError("the host doesn't say what each of its nodes calls itself")
        return self

    @model_validator(mode="after")
    def _cases_fit_the_arms(self) -> Job:
        require_unique("case", (c.id for c in self.cases))
        for case in self.cases:
            if set(case.argv) != set(self.arms_of(case)):
                wanted = ", ".join(self.arms_of(case))
                raise ValueError(f"case {case.id}: argv must have just the arms {wanted}")
        return self

    def arms_of(self, case: Case) -> tuple[Arm, ...]:
        """The arms that run in each pair: the baseline runs only where something is compared."""
        paired = case.looks and self.arms.baseline
        return ("candidate", "baseline") if paired else ("candidate",)


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


class Manifest(Value):
    """What the prefix that a rank ran from claims to be."""

    plan_hash: Digest
    tree: Digest


class Begin(Value):
    """A rank has started."""

    t: Literal["begin"]
    nonce: str
    rank: NonNegativeInt
    world: PositiveInt
    host: str
    pid: PositiveInt
    python: str
    prefix: str
    manifest: Manifest | None


class Check(Value):
    """A correctness check."""

    t: Literal["check"]
    name: Name
    ok: bool
    detail: str


class Metric(Value):
    """A measured figure."""

    t: Literal["metric"]
    name: Name
    value: Number
    unit: str


class Probe(Value):
    """A roofline measured in the same run."""

    t: Literal["probe"]
    name: Name
    value: Number
    unit: str


class Series(Value):
    """Lines of a plot for the report."""

    t: Literal["series"]
    name: Name
    xlabel: str
    ylabel: str
    x: tuple[JsonValue, ...]
    y: dict[str, tuple[JsonValue, ...]]


class Info(Value):
    """A fact for the report."""

    t: Literal["info"]
    name: Name
    value: JsonValue


class End(Value):
    """A rank has finished its work."""

    t: Literal["end"]


Line = Annotated[
    Begin | Check | Metric | Probe | Series | Info | End,
    Field(discriminator="t"),
]


class Exit(Value):
    """How the launched process ended."""

    code: int | None
    signal: int | None
    timed_out: bool


class Run(Value):
    """One line of results.jsonl."""

    schema_: Literal["stackwright/run/1"] = Field(alias="schema")
    job_id: str
    nonce: str
    case: str
    arm: Arm
    pair: NonNegativeInt
    position: NonNegativeInt
    started: str
    seconds: Annotated[float, Field(ge=0)]
    exit: Exit
    ranks: tuple[tuple[Line, ...], ...]
    logs: dict[str, Digest]
    prev: Digest
    problems: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


def require_unique(what: str, names: Iterable[str]) -> None:
    """Raise ValueError if a name appears twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} appears twice")
        seen.add(name)
