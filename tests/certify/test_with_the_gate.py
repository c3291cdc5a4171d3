"""A certificate over a real judgement: what the gate concludes is what gets signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import BUILDER, EXPIRES, ISSUED, NOW, RELEASE, TRUSTED, digest
from gate_evidence import (
    CORRECTNESS,
    PERFORMANCE,
    Record,
    a_job,
    chain,
    encode,
    sound_runs,
    timed_runs,
)

from stackwright.canonical import hash_value
from stackwright.certify import dsse
from stackwright.certify.acceptance import Waiver
from stackwright.certify.artefact import Digests
from stackwright.certify.attest import attest_results
from stackwright.certify.evidence import Evidence
from stackwright.certify.statement import PlanFacts, make_statement
from stackwright.certify.verify import Certificate, Expected, verify_certificate
from stackwright.errors import StackwrightError
from stackwright.validation.gate import judge

JOB = a_job()
FACTS = PlanFacts(digest("lock"), hash_value(JOB["host"]), JOB["payload"])
WAIVER = Waiver(case=PERFORMANCE, reason="slower MKL, fixed in 2026.1", expires="2026-12-01")


@dataclass(frozen=True)
class Candidate:
    """The build that the job's candidate arm names."""

    label: str
    plan_hash: str
    digests: Digests


CANDIDATE = Candidate(
    JOB["label"],
    JOB["arms"]["candidate"]["plan_hash"],
    Digests(*(JOB["arms"]["candidate"][part] for part in ("image", "squashfs", "prefix"))),
)
EXPECTED = Expected(
    label=CANDIDATE.label,
    system="local",
    plan_hash=CANDIDATE.plan_hash,
    digests=CANDIDATE.digests,
    suite=JOB["suite"]["digest"],
    payload=FACTS.payload,
    required_cases=frozenset(case["id"] for case in JOB["cases"]),
)


def rejudge(job: bytes, results: bytes) -> dict[str, Any]:
    return json.loads(judge(job, results).to_json())


def validate(run: Path, runs: Sequence[Record], asked: Record = JOB) -> Path:
    job = encode(asked)
    results = chain(job, runs)
    run.mkdir()
    (run / "job.json").write_bytes(job)
    (run / "results.jsonl").write_bytes(results)
    (run / "judgement.json").write_text(judge(job, results).to_json())
    (run / "results.dsse.json").write_bytes(attest_results(job, results, BUILDER))
    return run


def certify(run: Path, *waivers: Waiver) -> bytes:
    judgement = (run / "judgement.json").read_bytes()
    statement = make_statement(CANDIDATE, judgement, waivers, FACTS, issued=ISSUED, expires=EXPIRES)
    return dsse.sign(statement.to_json(), RELEASE)


def verify(run: Path, envelope: bytes) -> Certificate:
    evidence = Evidence(run, rejudge)
    return verify_certificate(envelope, TRUSTED, EXPECTED, now=NOW, evidence=evidence)


def slow_runs() -> list[Record]:
    """A sound run, but a fifth slower than what is released."""
    return [sound_runs(JOB)[0], *timed_runs(JOB, 8, lambda _: 48.0)]


def test_sound_results_are_certified(tmp_path: Path) -> None:
    run = validate(tmp_path / "run", sound_runs(JOB))
    predicate = verify(run, certify(run)).statement.predicate
    assert (predicate.verdict, predicate.kind) == ("PASS", "COMPARED")


def test_a_slowdown_of_a_fifth_is_not_certified(tmp_path: Path) -> None:
    run = validate(tmp_path / "run", slow_runs())
    with pytest.raises(StackwrightError, match=f"the case '{PERFORMANCE}' did not pass: FAIL"):
        certify(run)


def test_a_slowdown_is_certified_by_a_waiver_and_says_so(tmp_path: Path) -> None:
    run = validate(tmp_path / "run", slow_runs())
    predicate = verify(run, certify(run, WAIVER)).statement.predicate
    assert (predicate.verdict, predicate.cases[PERFORMANCE]) == ("WAIVED", "WAIVED")


def test_a_wrong_result_is_not_certified_even_with_a_waiver(tmp_path: Path) -> None:
    runs = sound_runs(JOB)
    runs[0]["ranks"][1].insert(
        1, {"t": "check", "name": "mean_gradient", "ok": False, "detail": ""}
    )
    run = validate(tmp_path / "run", runs)
    waiver = WAIVER.model_copy(update={"case": CORRECTNESS})
    with pytest.raises(StackwrightError, match="failed its check 'mean_gradient'"):
        certify(run, waiver)


def test_a_case_that_never_ran_is_not_certified_even_with_a_waiver(tmp_path: Path) -> None:
    run = validate(tmp_path / "run", sound_runs(JOB)[:1])
    with pytest.raises(StackwrightError, match="INVALID, which nothing can waive"):
        certify(run, WAIVER)


def lacking() -> tuple[Record, list[Record]]:
    """A job whose correctness case needs what the system lacks, and the runs of the others."""
    first, second = JOB["cases"]
    job = {**JOB, "cases": [{**first, "lacks": ["gpu-aware-mpi"]}, second]}
    return job, timed_runs(job, 8, lambda pair: 60.0 + 0.1 * (pair % 3))


def test_a_case_that_the_system_cannot_run_blocks_a_certificate_unless_it_is_waived(
    tmp_path: Path,
) -> None:
    job, runs = lacking()
    run = validate(tmp_path / "run", runs, job)
    waiver = WAIVER.model_copy(update={"case": CORRECTNESS})

    with pytest.raises(StackwrightError, match=f"'{CORRECTNESS}' did not pass: UNAVAILABLE"):
        certify(run)
    predicate = verify(run, certify(run, waiver)).statement.predicate

    assert predicate.cases == {CORRECTNESS: "WAIVED", PERFORMANCE: "PASS"}
    assert predicate.verdict == "WAIVED"


def test_where_no_case_can_run_nothing_is_certified(tmp_path: Path) -> None:
    job, _ = lacking()
    job["cases"][1] = {**job["cases"][1], "lacks": ["a-gpu"]}
    run = validate(tmp_path / "run", [], job)
    waivers = [WAIVER.model_copy(update={"case": name}) for name in (CORRECTNESS, PERFORMANCE)]

    with pytest.raises(StackwrightError, match="every case is waived, so nothing was shown"):
        certify(run, *waivers)


def test_a_results_file_without_its_last_line_is_found(tmp_path: Path) -> None:
    run = validate(tmp_path / "run", sound_runs(JOB))
    envelope = certify(run)
    lines = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
    (run / "results.jsonl").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(StackwrightError, match=r"results.jsonl: the evidence was changed"):
        verify(run, envelope)
