"""The cases of a judgement, each with its evidence, made ready to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackwright.report import pictures
from stackwright.report.figures import Curves, Glance, Picture, curves, glance
from stackwright.report.metrics import Metric, metrics
from stackwright.report.model import JsonObject, ReportData
from stackwright.report.numbers import finite
from stackwright.report.text import printable, rerun_command
from stackwright.report.verdicts import Verdict, verdict

_LONGEST_FACT = 2000


@dataclass(frozen=True)
class Log:
    """The tail of one log."""

    path: str
    text: str


@dataclass(frozen=True)
class Case:
    """A judged case.

    Args:
        curves: its series.
        pictures: what it described as one.
        glances: its series and its first picture, small, for the overview of all cases.
        troubles: what went wrong in its runs, a line each.
        evidence: the stacks of hung ranks, then the other logs of the runs that went wrong.
        logs: the logs of all other runs.
    """

    anchor: str
    id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    runs: int
    seconds: float
    setting: str
    checks: tuple[JsonObject, ...]
    metrics: tuple[Metric, ...]
    curves: tuple[Picture, ...]
    glances: tuple[Glance, ...]
    pictures: tuple[Picture, ...]
    facts: tuple[tuple[str, str], ...]
    troubles: tuple[str, ...]
    evidence: tuple[Log, ...]
    logs: tuple[Log, ...]
    commands: tuple[tuple[str, str], ...]


def cases(data: ReportData) -> tuple[Case, ...]:
    """All cases in the order of the judgement."""
    asked = {case["id"]: case for case in data.job["cases"]}
    return tuple(
        _case(data, index, case, asked.get(case["id"]))
        for index, case in enumerate(data.judgement["cases"], 1)
    )


def _case(data: ReportData, index: int, case: JsonObject, asked: JsonObject | None) -> Case:
    runs = [run for run in data.runs if run["case"] == case["id"]]
    series = tuple(_series(case))
    read = {name: pictures.read(name, value) for name, value in case["info"].items()}
    drawable = [picture for picture in read.values() if picture is not None]
    evidence, logs = _logs(data, case["id"], [run for run in runs if any(_troubles(run))])
    return Case(
        anchor=f"case-{index}-{re.sub('[^a-z0-9]+', '-', case['id'].lower())}",
        id=case["id"],
        verdict=verdict(case["verdict"]),
        reasons=tuple(case["reasons"]),
        runs=case["runs"],
        seconds=case["seconds"],
        setting=_setting(asked),
        checks=tuple(case["checks"]),
        metrics=metrics(case, asked, runs),
        curves=tuple(map(curves, series)),
        glances=(*map(glance, series), *map(pictures.glance, drawable[:1])),
        pictures=tuple(map(pictures.draw, drawable)),
        facts=tuple(
            (name, printable(_told(case["info"][name])))
            for name, picture in read.items()
            if picture is None
        ),
        troubles=tuple(_named(run, trouble) for run in runs for trouble in _troubles(run)),
        evidence=evidence,
        logs=logs,
        commands=tuple(_commands(data, asked)),
    )


def _setting(asked: JsonObject | None) -> str:
    if asked is None:
        return "the job did not ask for this case"
    ranks, threads = asked["ranks"], asked["threads"]
    launcher = "no launcher" if asked["launcher"] == "none" else asked["launcher"]
    return (
        f"{asked['channel']}, {launcher}, {ranks} {'rank' if ranks == 1 else 'ranks'},"
        f" {threads} {'thread' if threads == 1 else 'threads'} each,"
        f" time limit {asked['timeout_s']} s"
    )


def _series(case: JsonObject) -> Iterator[Curves]:
    for series in case["series"]:
        x = [finite(at) for at in series["x"]]
        whole = [at for at in x if at is not None]
        y = {name: tuple(map(finite, line)) for name, line in series["y"].items()}
        if y and len(whole) == len(x) > 1 and all(len(line) == len(x) for line in y.values()):
            yield Curves(series["name"], series["xlabel"], series["ylabel"], tuple(whole), y)


def _told(value: Any) -> str:
    text = _plain(value)
    return (
        text if len(text) <= _LONGEST_FACT else f"{text[:_LONGEST_FACT]}… (whole in results.jsonl)"
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping) and all(isinstance(v, str | int | float) for v in value.values()):
        return "\n".join(f"{key} {item}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _logs(
    data: ReportData, case: str, troubled: Sequence[JsonObject]
) -> tuple[tuple[Log, ...], tuple[Log, ...]]:
    """The logs that explain what went wrong, stacks first, and all others."""
    folders = tuple(f"logs/{case}/{run['pair']}-{run['arm']}/" for run in troubled)
    evidence: list[Log] = []
    others: list[Log] = []
    for path, text in sorted(data.logs.items()):
        if path.startswith(f"logs/{case}/"):
            explains = path.endswith(".stack") or path.startswith(folders)
            (evidence if explains else others).append(Log(path, printable(text)))
    evidence.sort(key=lambda log: not log.path.endswith(".stack"))
    return tuple(evidence), tuple(others)


def _named(run: JsonObject, trouble: str) -> str:
    return f"pair {run['pair']} {run['arm']}: {trouble}"


def _troubles(run: JsonObject) -> Iterator[str]:
    """What a run itself says: how it ended, which ranks did not, what is not whole."""
    ended = run["exit"]
    if ended["timed_out"]:
        yield f"ended at its time limit after {run['seconds']:.0f} s"
    elif ended["signal"]:
        yield f"ended by signal {ended['signal']}"
    elif ended["code"]:
        yield f"exit code {ended['code']}"
    for rank, lines in enumerate(run["ranks"]):
        if not lines or lines[-1].get("t") != "end":
            last = json.dumps(lines[-1], ensure_ascii=False)[:160] if lines else "nothing"
            yield f"rank {rank} did not finish; its last line is {printable(last)}"
    yield from (printable(problem) for problem in run.get("problems", ()))


def _commands(data: ReportData, asked: JsonObject | None) -> Iterator[tuple[str, str]]:
    if asked is not None:
        for arm, argv in asked["argv"].items():
            yield arm, rerun_command(argv, asked["env"], data.job["nonce"])
