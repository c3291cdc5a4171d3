"""From a suite and the arms to the job that the driver runs: a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stackwright.batch.srun import spread
from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.runtimes.request import CommandLine
from stackwright.validation import launch
from stackwright.validation.suites import ConcreteCase


@dataclass(frozen=True)
class Arm:
    """An artefact, and the ways in which its stack can be run here.

    Args:
        artefact: what is run.
        channels: ``image`` and ``module``.
    """

    artefact: Artefact
    channels: Mapping[str, launch.Channel]


@dataclass(frozen=True)
class Heading:
    """What a job says of itself (docs/formats.md, Job).

    Args:
        runtime: what runs the image, of both arms.
        host: the facts of the machine; in an allocation those of its first node, and of all of them
            their names (`nodes`) and what each calls itself (`hostnames`).
        nodes: what srun starts the ranks over, if anything.
    """

    job_id: str
    nonce: str
    created: str
    seed: int
    suite: str
    suite_digest: str
    payload_digest: str
    files_digest: str
    runtime: str
    host: Mapping[str, Any]
    nodes: launch.Nodes | None = None


def make_job(
    heading: Heading,
    cases: tuple[ConcreteCase, ...],
    candidate: Arm,
    baseline: Arm | None,
    payload: Path,
) -> dict[str, Any]:
    """The content of job.json.

    Args:
        cases: what the suite asks.
        baseline: the released artefact to compare with, if there is one.
        payload: the folder with ``cases/`` and ``probes/`` that the runs see.

    Raises:
        StackwrightError: there are no cases, or one can't be launched.
    """
    if not cases:
        raise StackwrightError(
            f"suite '{heading.suite}' selects no case: nothing would be validated",
            hint="put cases into validation/suites/",
        )
    _check_all_used(heading, cases)
    arms = {"candidate": candidate, **({"baseline": baseline} if baseline else {})}
    return {
        "schema": "stackwright/job/1",
        "job_id": heading.job_id,
        "nonce": heading.nonce,
        "created": heading.created,
        "label": candidate.artefact.label,
        "system": candidate.artefact.label.rpartition("@")[2],
        "suite": {"name": heading.suite, "digest": heading.suite_digest},
        "payload": heading.payload_digest,
        "files": heading.files_digest,
        "launcher": "srun" if heading.nodes else "local",
        "runtime": heading.runtime if any(case.channel == "image" for case in cases) else None,
        "seed": heading.seed,
        "arms": {
            "candidate": digests_of(candidate.artefact),
            "baseline": digests_of(baseline.artefact) if baseline else None,
        },
        "host": dict(heading.host),
        "cases": [_case(case, arms, payload, heading.nodes) for case in cases],
    }


def other_than_asked(job: Mapping[str, Any], cases: tuple[ConcreteCase, ...]) -> list[str]:
    """What a job, as job.json says it, leaves out, adds or changes against a suite's cases.

    What a case lacks on the system counts as well. Of command lines only what the suite decides is
    compared, the script and its arguments: the rest names this machine's paths and its engine.
    """
    wanted = {case.id: _asked(case) for case in cases}
    found = {case["id"]: case for case in job["cases"]}
    return [
        *(f"it lacks the case {name}" for name in sorted(wanted.keys() - found.keys())),
        *(f"it adds the case {name}" for name in sorted(found.keys() - wanted.keys())),
        *(
            f"{name} has other {key}"
            for name, fields in wanted.items()
            if name in found
            for key, value in fields.items()
            if found[name].get(key, _BEFORE.get(key)) != value
        ),
        *(
            f"{case.id} runs another command"
            for case in cases
            if case.id in found and not _runs(found[case.id], case)
        ),
    ]


_BEFORE: Mapping[str, Any] = {"lacks": []}
"""What fields meant in jobs that were written before there were any."""


def _runs(found: Mapping[str, Any], case: ConcreteCase) -> bool:
    """Whether every arm's command line ends with the case's script and arguments."""
    count = len(case.args)
    lines = [list(argv) for argv in found["argv"].values()]
    return bool(lines) and all(
        len(argv) > count
        and argv[len(argv) - count :] == list(case.args)
        and argv[-count - 1].endswith(f"/cases/{case.script}.py")
        for argv in lines
    )


def _asked(case: ConcreteCase) -> dict[str, Any]:
    """The fields of job.json that suite and system alone decide."""
    return {
        "id": case.id,
        "case": case.script,
        "channel": case.channel,
        "launcher": case.launch.launcher,
        "ranks": case.launch.ranks,
        "threads": case.launch.threads,
        "timeout_s": float(case.timeout_s),
        "looks": list(case.looks),
        "checks": list(case.checks),
        "metrics": [metric.model_dump(mode="json") for metric in case.metrics],
        "lacks": list(case.lacks),
    }


def digests_of(artefact: Artefact) -> dict[str, str]:
    """How a job names the bytes of an arm."""
    return {"plan_hash": artefact.plan_hash, **asdict(artefact.digests)}


def _check_all_used(heading: Heading, cases: tuple[ConcreteCase, ...]) -> None:
    """Check that a job names no node on which nothing would run."""
    if heading.nodes is None:
        return
    count = len(heading.nodes.names)
    used = max(spread(case.launch.ranks, count) for case in cases)
    if used != count:
        raise StackwrightError(
            f"no case of suite '{heading.suite}' runs over {count} nodes",
            hint=f"ask for as many as are used: -N {used}",
        )


def _case(
    case: ConcreteCase, arms: Mapping[str, Arm], payload: Path, nodes: launch.Nodes | None
) -> dict[str, Any]:
    program = launch.Program(
        script=f"cases/{case.script}.py",
        args=case.args,
        launcher=case.launch.launcher,
        ranks=case.launch.ranks,
        threads=case.launch.threads,
        timeout_s=case.timeout_s,
    )
    # Only what is measured is compared: a correctness case has one run, of the candidate.
    running = arms if case.looks else {"candidate": arms["candidate"]}
    launches = {
        name: _launch(program, arm.channels[case.channel], payload, nodes, case.id)
        for name, arm in running.items()
    }
    return {
        **_asked(case),
        "argv": {name: list(each.argv) for name, each in launches.items()},
        "kill": {name: list(each.kill) for name, each in launches.items()},
        "env": dict(launches["candidate"].env),
    }


def _launch(
    program: launch.Program,
    channel: launch.Channel,
    payload: Path,
    nodes: launch.Nodes | None,
    case: str,
) -> CommandLine:
    try:
        return launch.launch(program, channel, payload, nodes)
    except ValueError as error:
        raise StackwrightError(f"case '{case}' can't be launched: {error}") from error
