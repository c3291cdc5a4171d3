"""What the store's runs say of a certificate: which it came from, and which say otherwise."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_file
from stackwright.certify.verify import Certificate
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.store import Store
from stackwright.validation.runs import JOB, Run, runs

UNFINISHED = "UNFINISHED"


def evidence_folder(store: Store, certificate: Certificate) -> Path:
    """The run that a certificate was made from.

    Raises:
        StackwrightError: it is not in this store, so that nothing can be verified.
    """
    wanted = certificate.statement.predicate.evidence.job
    for path in sorted((store.root / "runs").glob(f"*/{JOB}")):
        if hash_file(path) == wanted:
            return path.parent
    raise StackwrightError(
        f"the evidence of the certificate (job {wanted}) is not in the store",
        hint=f"validate again: stackwright validate '{certificate.statement.label}'",
        code=ExitCode.INVALID,
    )


def earlier_runs(store: Store, folder: Path, asked: Mapping[str, Any]) -> dict[str, str]:
    """How the store's other validations of the same bytes came out, by run.

    Such as ``FAIL``, or ``FAIL by suite smoke`` where they asked something else.
    """
    return {
        run.folder.name: _outcome(run, asked)
        for run in runs(store)
        if run.folder != folder and run.job["arms"]["candidate"] == asked["arms"]["candidate"]
    }


def check_still_believed(store: Store, certificate: Certificate) -> None:
    """Check that no run says otherwise than a certificate, but those that it tells of itself.

    Raises:
        StackwrightError: one does.
    """
    predicate = certificate.statement.predicate
    waived = {waiver.case for waiver in predicate.waivers}
    check_undisputed(store, _asked(store, certificate), predicate.earlier, waived)


def _asked(store: Store, certificate: Certificate) -> dict[str, Any]:
    """The job that a certificate was made from; once that is gone, what the certificate says of it.

    Its cases are then not known one by one, only by their suite.
    """
    try:
        asked: dict[str, Any] = json.loads((evidence_folder(store, certificate) / JOB).read_bytes())
    except StackwrightError:
        statement, predicate = certificate.statement, certificate.statement.predicate
        return {
            "job_id": "",
            "created": predicate.issued,
            "arms": {"candidate": {"plan_hash": statement.plan_hash, **asdict(statement.digests)}},
            "suite": predicate.suite.model_dump(),
            "payload": predicate.payload,
            "cases": None,
        }
    return asked


def check_undisputed(
    store: Store, asked: Mapping[str, Any], earlier: Mapping[str, str], waived: Collection[str]
) -> None:
    """Check that no run of the same bytes failed in a case that another one passed.

    Args:
        store: its runs count once they are judged, whichever suite they ran.
        asked: the job of the run that passed.
        earlier: how older runs came out, as `earlier_runs` said; those are known.
        waived: the cases that may fail.

    Raises:
        StackwrightError: one that was begun later did not pass, or an older one has failed since.
    """
    for run in runs(store):
        if run.judgement is None or run.job["job_id"] == asked["job_id"]:
            continue
        known = earlier.get(run.folder.name) == _outcome(run, asked)
        if known and run.job["created"] < asked["created"]:
            continue
        if failed := _failed_in_common(run, asked, waived):
            when = "an older" if run.job["created"] < asked["created"] else "a later"
            raise StackwrightError(
                f"{run.folder.name}, {when} validation of the same bytes, is"
                f" {run.judgement['verdict']}: {', '.join(failed)}",
                where=Location(run.folder),
                hint=f"find out why: stackwright report '{run.job['label']}' --run {run.folder}; "
                "then validate and certify again",
                code=ExitCode.FAIL,
            )


def _failed_in_common(run: Run, asked: Mapping[str, Any], waived: Collection[str]) -> list[str]:
    """The cases that a run did not pass and that another job of the same bytes asked as well.

    A run with a defect that concerns no single case passed none.
    """
    same = (run.job["arms"]["candidate"], run.job["payload"])
    if run.judgement is None or same != (asked["arms"]["candidate"], asked["payload"]):
        return []
    judged = () if run.judgement["reasons"] else run.judgement["cases"]
    passed = {case["id"] for case in judged if case["verdict"] == "PASS"}
    return [
        case["id"]
        for case in run.job["cases"]
        if case["id"] not in passed and case["id"] not in waived and _asks(asked, case, run.job)
    ]


def _asks(asked: Mapping[str, Any], case: Mapping[str, Any], job: Mapping[str, Any]) -> bool:
    if asked["cases"] is None:
        return bool(asked["suite"] == job["suite"])
    return any(_decided(ours) == _decided(case) for ours in asked["cases"])


_HOW = ("argv", "env", "kill")
"""How a case was run: paths of its run, the engine, the launcher. No two runs have the same."""


def _decided(case: Mapping[str, Any]) -> dict[str, Any]:
    """What a suite decides of a case of a job: what is asked, and not how it was run."""
    line = case["argv"]["candidate"]
    named = (at for at, word in enumerate(line) if word.endswith(f"/cases/{case['case']}.py"))
    script = max(named, default=-1)
    return {**{k: v for k, v in case.items() if k not in _HOW}, "args": line[script + 1 :]}


def _outcome(run: Run, asked: Mapping[str, Any]) -> str:
    verdict = str(run.judgement["verdict"]) if run.judgement else UNFINISHED
    if all(run.job[name] == asked[name] for name in ("suite", "payload")):
        return verdict
    before = ", as it was then" if run.job["suite"]["name"] == asked["suite"]["name"] else ""
    return f"{verdict} by suite {run.job['suite']['name']}{before}"
