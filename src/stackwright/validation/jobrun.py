"""The in-job driver: runs job.json and appends results.jsonl (docs/formats.md).

Standard library only: the files in `PARTS`, copied into one folder, run on a compute node where
Stackwright is not installed, as `python3 jobrun.py RUNDIR`. It measures and records; it judges
nothing but, through `rule`, how many pairs are still wanted.

Correctness cases run first, as they fail cheaply. Then performance cases take turns, one pair at a
time: the arms of a pair see the same minute of the machine, and the pairs of a case are spread
over the job, so that a noisy spell cannot hit one case alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if __package__:
    from stackwright.validation import evidence, execution, rule
    from stackwright.validation.execution import Interrupted
    from stackwright.validation.ledger import JobError, Ledger, Record, sha256
    from stackwright.validation.reaper import MARK, Family
else:
    import evidence  # type: ignore[import-not-found, no-redef]
    import execution  # type: ignore[import-not-found, no-redef]
    import rule  # type: ignore[import-not-found, no-redef]
    from execution import Interrupted  # type: ignore[no-redef]
    from ledger import JobError, Ledger, Record, sha256  # type: ignore[import-not-found, no-redef]
    from reaper import MARK, Family  # type: ignore[import-not-found, no-redef]

PARTS = ("jobrun.py", "evidence.py", "execution.py", "ledger.py", "reaper.py", "rule.py")
"""What has to be copied for a node without Stackwright."""

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

INHERITED: Mapping[str, tuple[str, ...]] = {
    "local": ("PATH", "HOME"),
    "srun": ("PATH", "HOME", "SLURM_CONF", "SLURM_JOB_ID"),
}
"""What a run finds of the driver's own environment, by what starts it: srun has to find its job."""

Event = dict[str, Any]
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Case:
    """A case of job.json, as far as the driver needs to know it; `raw` is for the rule."""

    id: str
    ranks: int
    timeout_s: float
    looks: tuple[int, ...]
    argv: Mapping[str, list[str]]
    kill: Mapping[str, list[str]]
    env: Mapping[str, str]
    lacks: tuple[str, ...]
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """What was asked; unlike the gate's, it holds no more than it takes to run it."""

    job_id: str
    nonce: str
    seed: int
    inherits: tuple[str, ...]
    cases: tuple[Case, ...]

    @property
    def prefix(self) -> str:
        """What the names of all runs of this job begin with."""
        return f"stackwright-{self.job_id}-"


@dataclass(frozen=True)
class Run:
    """One launch of one arm."""

    case: Case
    pair: int
    arm: str
    position: int


def run_job(rundir: Path, on_event: OnEvent) -> None:
    """Run what job.json in `rundir` wants and results.jsonl does not have yet.

    Handles SIGINT and SIGTERM meanwhile, so it must be called from the main thread.

    Args:
        rundir: the folder of the run.
        on_event: called with `{"event": "begin" | "run", "case": ..., "arm": ..., "pair": ...,
            "looks": [...], "done": ..., "most": ..., "results": ...}`; "most" is how many runs
            there are if every case needs its last look, "results" the hash of all that is recorded.

    Raises:
        JobError: job.json is no job, results.jsonl is not its results, or another driver runs it.
        Interrupted: a signal came; calling again continues.
    """
    rundir = rundir.resolve()
    path = rundir / "job.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JobError(f"{path}: {error.strerror}", "give the folder that has job.json") from None
    job = read_job(data, str(path))
    belongs = {"job_id": job.job_id, "nonce": job.nonce}
    with Ledger(rundir / "results.jsonl", data, belongs) as ledger, execution.Wake() as wake:
        Family.left_by(job.prefix).end()
        while run := next_run(job, ledger.records):
            wake.check()
            begun = _progress(job, len(ledger.records), run)
            on_event({"event": "begin", **begun, "results": ledger.digest})
            ledger.append(_measure(job, run, rundir, wake))
            done = _progress(job, len(ledger.records), run)
            on_event({"event": "run", **done, "results": ledger.digest})
    with contextlib.suppress(OSError):  # another user's files from a container stay
        (rundir / "out").rmdir()


def read_job(data: bytes, name: str) -> Job:
    """Read job.json.

    Raises:
        JobError: it is not a job that can be run.
    """
    try:
        value = json.loads(data)
        if value["schema"] != "stackwright/job/1":
            raise ValueError(f"schema is {value['schema']!r}, not 'stackwright/job/1'")
        cases = tuple(_read_case(case) for case in value["cases"])
        inherits = INHERITED[value.get("launcher", "local")]
        job = Job(_file_name(value["job_id"]), value["nonce"], value["seed"], inherits, cases)
        if not cases:
            raise ValueError("there are no cases, so nothing would be measured")
        if len({case.id for case in cases}) != len(cases):
            raise ValueError("two cases have the same id")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise JobError(f"{name}: {what}", "`stackwright validate LABEL` writes a new job") from None
    return job


def _read_case(raw: Mapping[str, Any]) -> Case:
    case = Case(
        id=_file_name(raw["id"]),
        ranks=int(raw["ranks"]),
        timeout_s=float(raw["timeout_s"]),
        looks=tuple(raw["looks"]),
        argv=dict(raw["argv"]),
        kill=dict(raw["kill"]),
        env=dict(raw["env"]),
        lacks=tuple(raw.get("lacks", ())),
        raw=raw,
    )
    if case.looks:
        rule.check_looks(case.looks)
    if "candidate" not in case.argv or not all(case.argv.values()):
        raise ValueError(f"case {case.id}: an argv is missing or empty")
    return case


def _file_name(text: str) -> str:
    """Names of cases become folders: nothing that could lead out of the run's own."""
    if not FILE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot name a folder")
    return text


def next_run(job: Job, records: list[Record]) -> Run | None:
    """What to run next; None when everything that is wanted has been recorded."""
    done = {case.id: [r for r in records if r["case"] == case.id] for case in job.cases}
    waiting = [case for case in job.cases if len(done[case.id]) < runs_wanted(case, done[case.id])]
    if not waiting:
        return None
    # min keeps the job's order among equals: first of the correctness cases, or, when those are
    # over, of the performance cases with the fewest pairs.
    case = min(waiting, key=lambda c: (bool(c.looks), len(done[c.id]) // len(c.argv)))
    pair, position = divmod(len(done[case.id]), len(case.argv))
    return Run(case, pair, arms_in_order(job.seed, case, pair)[position], position)


def runs_wanted(case: Case, done: list[Record]) -> int:
    """How many runs a case wants in all by what is known; a pair that was begun is completed.

    A case that needs what the system lacks is never run.
    """
    if case.lacks:
        return 0
    pairs = -(-len(done) // len(case.argv))
    if len(done) % len(case.argv) == 0:
        pairs = max(pairs, rule.pairs_wanted(case.raw, done))
    return pairs * len(case.argv)


def arms_in_order(seed: int, case: Case, pair: int) -> tuple[str, ...]:
    """Which arm runs first in a pair: fixed by docs/formats.md, so that the gate can tell."""
    if len(case.argv) == 1:
        return tuple(case.argv)
    # random() of a seed in text gives the same number in every version of Python, by its docs.
    candidate_first = random.Random(f"{seed}:{case.id}:{pair}").random() < 0.5  # noqa: S311, PLR2004
    return ("candidate", "baseline") if candidate_first else ("baseline", "candidate")


def _progress(job: Job, done: int, run: Run) -> Event:
    running = [case for case in job.cases if not case.lacks]
    most = sum(max(case.looks, default=1) * len(case.argv) for case in running)
    where = {"case": run.case.id, "arm": run.arm, "pair": run.pair, "looks": list(run.case.looks)}
    return {**where, "done": done, "most": most}


def _measure(job: Job, run: Run, rundir: Path, wake: execution.Wake) -> Record:
    """Run one arm once and say all that is known about it."""
    launch = _launch(job, run, rundir)
    shutil.rmtree(launch.logs, ignore_errors=True)  # of a run that was interrupted
    launch.out.mkdir(parents=True)
    launch.logs.mkdir(parents=True)
    started = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ending = execution.execute(launch, wake)
    ranks, problems = evidence.collect(launch.out, launch.logs)
    problems += [f"process {pid} could not be ended" for pid in ending.survivors]
    shutil.rmtree(launch.out, ignore_errors=True)
    record = {
        "schema": "stackwright/run/1",
        "job_id": job.job_id,
        "nonce": job.nonce,
        "case": run.case.id,
        "arm": run.arm,
        "pair": run.pair,
        "position": run.position,
        "started": started,
        "seconds": round(ending.seconds, 6),
        "exit": {
            "code": ending.returncode if ending.returncode >= 0 else None,
            "signal": -ending.returncode if ending.returncode < 0 else None,
            "timed_out": ending.timed_out,
        },
        "ranks": ranks,
        "logs": {
            str(path.relative_to(rundir)): sha256(path.read_bytes())
            for path in sorted(launch.logs.iterdir())
        },
    }
    return {**record, "problems": problems} if problems else record


def _launch(job: Job, run: Run, rundir: Path) -> execution.Launch:
    """Give the run a name and folders of its own, and fill them in."""
    name = job.prefix + secrets.token_hex(4)
    out = rundir / "out" / name
    started = f"{time.time():.6f}"
    values = {"@OUT@": str(out), "@NAME@": name, "@NONCE@": job.nonce, "@STARTED@": started}

    def fill(text: str) -> str:
        return re.sub("|".join(values), lambda match: values[match[0]], text)

    inherited = {key: os.environ[key] for key in job.inherits if key in os.environ}
    own = {key: fill(value) for key, value in run.case.env.items()}
    return execution.Launch(
        name=name,
        argv=[fill(word) for word in run.case.argv[run.arm]],
        kill=[fill(word) for word in run.case.kill.get(run.arm, [])],
        env={**inherited, **own, MARK: name},
        timeout_s=run.case.timeout_s,
        ranks=run.case.ranks,
        out=out,
        logs=rundir / "logs" / run.case.id / f"{run.pair}-{run.arm}",
    )


def main(argv: list[str] | None = None) -> int:
    """Run a job from the command line.

    Returns:
        0 when all that is wanted has been recorded, whatever it shows; 1 when the disk failed;
        2 for a bad job; 130 when interrupted.
    """
    parser = argparse.ArgumentParser(prog="jobrun.py", description="Run a job's cases.")
    parser.add_argument("rundir", type=Path, help="folder with job.json; results.jsonl goes there")
    parser.add_argument("--progress", action="store_true", help="print one JSON line per event")
    args = parser.parse_args(argv)

    def print_event(event: Event) -> None:
        if args.progress:
            print(json.dumps(event), flush=True)

    try:
        run_job(args.rundir, print_event)
    except Interrupted:
        print("jobrun: interrupted; the same command continues", file=sys.stderr)
        return 130
    except (JobError, OSError) as error:
        print(f"jobrun: {error}", file=sys.stderr)
        return 2 if isinstance(error, JobError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
