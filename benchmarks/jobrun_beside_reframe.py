"""Fifty trivial cases by Stackwright's driver and gate, and by ReFrame.

Each side runs the same script fifty times, records what it found and says that all passed, from
the start of its process to the end: `jobrun` one case after the other, and then `stackwright
judge`; ReFrame with its serial and with its asynchronous execution policy (two jobs at a time),
and the local scheduler. `jobrun` has no asynchronous policy: cases that are measured must not run
beside each other.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
from stackwright.canonical import hash_bytes
from stackwright.validation import jobrun
from stackwright.validation.gate import judge

HERE = Path(__file__).parent / "trivial"
PAYLOAD = HERE / "payload.sh"
REFRAME = Path(sys.executable).with_name("reframe")
NONCE = "0" * 32
OURS = "Stackwright: jobrun and judge"
SERIAL, ASYNC = "ReFrame, serial", "ReFrame, asynchronous"


def main() -> None:
    """Print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--cases", type=int, default=50)
    chosen = parser.parse_args()
    if not REFRAME.is_file():
        sys.exit("ReFrame is missing: pip install --requirement setup/requirements-bench.txt")
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        samples = compare(Path(folder), chosen.cases, rounds=1 if chosen.quick else 7)
    print(report(samples, chosen.cases))


def compare(folder: Path, cases: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, rounds apart."""
    parts = folder / "driver"
    parts.mkdir()
    for name in jobrun.PARTS:
        shutil.copy(Path(jobrun.__file__).with_name(name), parts)
    return measure.take_turns(
        {
            OURS: lambda: ours(parts, cases),
            SERIAL: lambda: theirs("serial", cases),
            ASYNC: lambda: theirs("async", cases),
        },
        rounds,
    )


def ours(parts: Path, cases: int) -> float:
    """Run a job, and judge it in a second process; exit code 0 is PASS."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        Path(folder, "job.json").write_text(json.dumps(job(cases)))
        taken = measure.seconds([sys.executable, str(parts / "jobrun.py"), folder])
        return taken + measure.seconds([measure.STACKWRIGHT, "judge", folder])


def judged(cases: int) -> str:
    """The verdict of such a job."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        asked = json.dumps(job(cases)).encode()
        Path(folder, "job.json").write_bytes(asked)
        jobrun.run_job(Path(folder), lambda _event: None)
        return judge(asked, Path(folder, "results.jsonl").read_bytes()).verdict


def theirs(policy: str, cases: int) -> float:
    """Run ReFrame; exit code 0 means that all passed."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        argv = [str(REFRAME), "-C", str(HERE / "reframe_settings.py")]
        argv += ["-c", str(HERE / "reframe_checks.py"), "--prefix", folder]
        argv += [f"--exec-policy={policy}", "--report-file", f"{folder}/report.json", "-r"]
        env = {"BENCHMARK_CASES": str(cases), "BENCHMARK_PAYLOAD": str(PAYLOAD), "HOME": folder}
        taken = measure.seconds(argv, env)
        done = json.loads(Path(folder, "report.json").read_bytes())["session_info"]
        if (done["num_cases"], done["num_failures"]) != (cases, 0):
            sys.exit(f"ReFrame ran {done['num_cases']} cases, {done['num_failures']} failed")
        return taken


def job(cases: int) -> dict[str, Any]:
    """A job of trivial cases (docs/formats.md)."""
    digests = {
        name: hash_bytes(name.encode()) for name in ("plan_hash", "image", "squashfs", "prefix")
    }
    env = {
        "STACKWRIGHT_OUT": "@OUT@",
        "STACKWRIGHT_NONCE": "@NONCE@",
        "PLAN_HASH": digests["plan_hash"],
        "TREE": digests["prefix"],
    }
    case = {
        "case": "trivial",
        "channel": "image",
        "launcher": "none",
        "ranks": 1,
        "threads": 1,
        "timeout_s": 60,
        "looks": [],
        "argv": {"candidate": [str(PAYLOAD)]},
        "kill": {"candidate": []},
        "env": env,
        "checks": ["alive"],
        "metrics": [],
    }
    return {
        "schema": "stackwright/job/1",
        "job_id": "benchmark",
        "nonce": NONCE,
        "created": "2026-01-01T00:00:00Z",
        "label": measure.LABEL,
        "system": "local",
        "suite": {"name": "trivial", "digest": hash_bytes(b"suite")},
        "payload": hash_bytes(PAYLOAD.read_bytes()),
        "seed": 1,
        "arms": {"candidate": digests, "baseline": None},
        "host": {},
        "cases": [{"id": f"trivial-{number}", **case} for number in range(cases)],
    }


def report(samples: measure.Samples, cases: int) -> str:
    """The table, and what one case costs."""
    rows = "\n".join(
        f"- {name}: {measure.number(1e3 * min(values) / cases)} ms a case in its fastest round"
        for name, values in samples.items()
    )
    return f"{measure.comparison(samples, SERIAL)}\n\n{rows}"


if __name__ == "__main__":
    main()
