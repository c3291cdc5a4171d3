"""The metrics of a judgement, made ready for charts and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from stackwright.report.figures import Estimate, Picture, strip
from stackwright.report.model import JsonObject, ReportData
from stackwright.report.numbers import finite
from stackwright.report.verdicts import Verdict, verdict


@dataclass(frozen=True)
class Metric:
    """A metric of a case; `rows` are (pair, candidate, released, ratio, ceiling, fraction)."""

    name: str
    unit: str
    better: str
    verdict: Verdict
    reasons: tuple[str, ...]
    relative: Estimate | None
    absolute: Estimate | None
    autocorrelation: float | None
    roofline: str
    pictures: tuple[Picture, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def compared(self) -> bool:
        """Whether the released stack ran too."""
        return any(row[2] is not None for row in self.rows)


def metrics(
    case: JsonObject, asked: JsonObject | None, runs: Sequence[JsonObject]
) -> tuple[Metric, ...]:
    """The metrics of a judged case; `asked` is the case in the job, `runs` are its records."""
    specs = {spec["name"]: spec for spec in asked["metrics"]} if asked else {}
    return tuple(_metric(metric, specs.get(metric["name"], {}), runs) for metric in case["metrics"])


def estimates(data: ReportData, kind: str) -> Iterator[Estimate]:
    """All metrics that have a test of this kind (relative or absolute), in the order of the cases.

    A metric that several cases measure has in its name what tells these cases apart.
    """
    tests = [(case, metric) for case in data.judgement["cases"] for metric in case["metrics"]]
    users: dict[str, list[str]] = {}
    for case, metric in tests:
        users.setdefault(metric["name"], []).append(case["id"])
    for case, metric in tests:
        name = metric["name"]
        apart = _apart(case["id"], users[name])
        if found := _estimate(f"{name} · {apart}" if apart else name, metric[kind]):
            yield found


def _apart(case: str, cases: Sequence[str]) -> str:
    """The parts of a case's id that aren't the same in all of the cases."""
    ids = [one.split(".") for one in cases]
    if len({*map(len, ids)}) > 1:
        return case
    columns = zip(case.split("."), *ids, strict=True)
    return ".".join(part for part, *all_parts in columns if len({*all_parts}) > 1)


def unjudged(data: ReportData) -> list[str]:
    """Metrics that no chart of all metrics can show, so that their absence is said."""
    return [
        f"{metric['name']} ({case['id']})"
        for case in data.judgement["cases"]
        for metric in case["metrics"]
        if not any(_estimate(metric["name"], metric[kind]) for kind in ("relative", "absolute"))
    ]


def _metric(metric: JsonObject, spec: JsonObject, runs: Sequence[JsonObject]) -> Metric:
    relative, absolute = metric["relative"], metric["absolute"]
    against_released = _estimate(metric["name"], relative)
    against_hardware = _estimate(metric["name"], absolute)
    roofline = spec.get("roofline") or "the roofline"
    columns: list[Sequence[Any]] = [
        metric["values"]["candidate"],
        metric["values"]["baseline"],
        relative["samples"] if relative else (),
        _ceilings(runs, roofline) if absolute else (),
        absolute["samples"] if absolute else (),
    ]
    return Metric(
        name=metric["name"],
        unit=metric["unit"],
        better=f"{metric['direction']} is better",
        verdict=verdict(metric["verdict"]),
        reasons=tuple(metric["reasons"]),
        relative=against_released,
        absolute=against_hardware,
        autocorrelation=finite(relative["autocorrelation"]) if relative else None,
        roofline=roofline,
        pictures=(
            *_strip("Candidate / released", "theta", against_released),
            *_strip(f"Fraction of {roofline}", "floor", against_hardware),
        ),
        rows=tuple((pair, *row) for pair, row in enumerate(zip_longest(*columns))),
    )


def _ceilings(runs: Sequence[JsonObject], roofline: str) -> list[Any]:
    """What the probe found in each of the candidate's runs, in the order of the pairs."""
    candidate = sorted(
        (run for run in runs if run["arm"] == "candidate"), key=lambda run: int(run["pair"])
    )
    return [next(_probed(run, roofline), None) for run in candidate]


def _probed(run: JsonObject, roofline: str) -> Iterator[Any]:
    lines = chain.from_iterable(run["ranks"])
    return (one["value"] for one in lines if (one.get("t"), one.get("name")) == ("probe", roofline))


def _strip(title: str, bound: str, estimate: Estimate | None) -> tuple[Picture, ...]:
    return (strip(title, bound, estimate),) if estimate else ()


def _estimate(name: str, test: JsonObject | None) -> Estimate | None:
    """A test as a drawable estimate; None where its median or its bound is not a number."""
    if test is None:
        return None
    median, bound = finite(test["median"]), finite(test["bound"])
    if median is None or bound is None:
        return None
    result = verdict(test["verdict"])
    return Estimate(
        name=name,
        verdict=result.word,
        tone=result.tone,
        median=median,
        lower=finite(test["lower"]),
        upper=finite(test["upper"]),
        bound=bound,
        samples=tuple(finite(sample) for sample in test["samples"]),
    )
