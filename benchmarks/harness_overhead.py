"""What validating costs beside the payload: a real run of a suite, taken apart.

The payload's own time is that between the first line that a rank wrote and the last. Around it lie
the interpreter's start with its imports and the MPI launcher's or torchrun's (users have those as
well), the container runtime or the module, the driver (`jobrun`: launching, collecting, recording;
and signing each result), and what comes once for a job: checking the artefact's bytes before,
judging after. Start and end of a container and of a module's shell are measured with `true` in
place of the payload; the driver is what the clock says between its events beyond the lifetime of
the process that it launched.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jobrun_beside_reframe
import measure
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked
from stackwright.store import Store
from stackwright.validation import jobrun
from stackwright.validation.runs import JOB, RESULTS
from stackwright.validation.session import Session
from stackwright.workshop import Workshop

GOAL = 0.03
POLL_S = 0.005
TRIVIAL_CASES = 50


@dataclass
class Clock:
    """Sums what the driver's events say; the driver calls it."""

    begun: float = 0.0
    inside: float = 0.0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take the time of one event."""
        now = time.monotonic()
        if event["event"] == "begin":
            self.begun = now
            return
        self.inside += now - self.begun
        print(f"[{event['done']}/{event['most']}] {event['case']}", file=sys.stderr, flush=True)


@dataclass
class Watch:
    """Sees the ranks' files appear, and holds them open so that their last time stays known."""

    folder: Path
    opened: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Look again and again until it is over."""
        while not self.over.wait(POLL_S):
            for path in self.folder.glob("*/rank-*.jsonl"):
                files = self.opened.setdefault(path.parent.name, {})
                if path.name not in files:
                    with suppress(FileNotFoundError):  # collected since it was listed
                        descriptor = os.open(path, os.O_RDONLY)
                        files[path.name] = (descriptor, os.fstat(descriptor).st_mtime)

    def seconds(self) -> float:
        """From the first line of any rank to the last of any, summed over the runs."""
        total = 0.0
        for files in self.opened.values():
            total += max(os.fstat(d).st_mtime for d, _ in files.values())
            total -= min(first for _, first in files.values())
        return total


@dataclass(frozen=True)
class Measured:
    """A validation, in seconds; of those between ``inside`` and ``launched`` is the driver's."""

    runs: Mapping[str, int]
    before: float
    inside: float
    launched: float
    payload: float
    after: float


def main() -> None:
    """Print the tables."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    parser.add_argument("--suite", help="else core, or smoke with --quick")
    chosen = parser.parse_args()
    suite = chosen.suite or ("smoke" if chosen.quick else "core")
    store = Store(chosen.store.absolute())
    with measure.copied_site() as site:
        argv = [measure.STACKWRIGHT, "--site", str(site), "--store", str(store.root), "build"]
        measure.seconds([*argv, measure.LABEL])
        folder, measured = validate(Site(site), store, suite)
    starts = measure.take_turns(empty_runs(folder), rounds=3 if chosen.quick else 15)
    print(report(suite, measured, starts, trivial()))


def validate(site: Site, store: Store, suite: str) -> tuple[Path, Measured]:
    """Validate as the command does, with a clock at the driver's events."""
    shop = Workshop(site, parse(measure.LABEL), store)
    session = Session(site, store, shop.runner(), shop.measure)
    begun = time.monotonic()
    folder = session.start(shop.plan, locked(shop.plan, site), shop.artefact, suite)
    started = time.monotonic()
    clock, watch = Clock(), Watch(folder / "out")
    follower = threading.Thread(target=watch.follow)
    follower.start()
    try:
        judgement = session.run(folder, clock)
    finally:
        watch.over.set()
        follower.join()
    ended = time.monotonic()
    print(f"{suite}: {judgement.verdict} {judgement.reasons}", file=sys.stderr)
    records = [json.loads(line) for line in (folder / RESULTS).read_bytes().splitlines()]
    channels = {
        case["id"]: case["channel"] for case in json.loads((folder / JOB).read_bytes())["cases"]
    }
    ran = [channels[record["case"]] for record in records]
    if sum(map(bool, watch.opened.values())) != len(records):
        sys.exit(f"saw the ranks of {len(watch.opened)} runs of {len(records)}: see {folder}")
    return folder, Measured(
        runs={channel: ran.count(channel) for channel in ("image", "module")},
        before=started - begun,
        inside=clock.inside,
        launched=sum(record["seconds"] for record in records),
        payload=watch.seconds(),
        after=ended - started - clock.inside,
    )


def empty_runs(folder: Path) -> dict[str, measure.Side]:
    """The command lines of a job with `true` for the payload, and `true` alone."""
    cases = json.loads((folder / JOB).read_bytes())["cases"]
    sides: dict[str, measure.Side] = {"alone": partial(measure.seconds, ["true"])}
    for channel in ("image", "module"):
        case = next(c for c in cases if (c["channel"], c["launcher"]) == (channel, "none"))
        sides[channel] = partial(empty_run, with_true(case["argv"]["candidate"]), case["env"])
    return sides


def with_true(argv: list[str]) -> list[str]:
    """Put `true` for Python and its script into podman's, docker's or a module's command line."""
    python = [n for n, word in enumerate(argv) if word in ("python", "--entrypoint=python")]
    at = python[-1]
    if argv[at] == "python":
        return [*argv[:at], "true"]
    return [*argv[:at], "--entrypoint=true", argv[at + 1]]


def empty_run(argv: list[str], env: Mapping[str, str]) -> float:
    """Run such a command line, filled in as the driver does."""
    name = f"stackwright-bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as out:
        values = {"@OUT@": out, "@NAME@": name, "@NONCE@": "0" * 32}

        def fill(text: str) -> str:
            for mark, value in values.items():
                text = text.replace(mark, value)
            return text

        own = {key: fill(value) for key, value in env.items()}
        inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        started = time.perf_counter()
        subprocess.run([fill(word) for word in argv], env={**inherited, **own}, check=True)
        return time.perf_counter() - started


def trivial() -> float:
    """Seconds that the driver takes for a run beyond the process, where that one does nothing."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        job = jobrun_beside_reframe.job(TRIVIAL_CASES)
        Path(folder, JOB).write_text(json.dumps(job))
        clock = Clock()
        jobrun.run_job(Path(folder), clock)
        lines = Path(folder, RESULTS).read_bytes().splitlines()
        launched = sum(float(json.loads(line)["seconds"]) for line in lines)
    return (clock.inside - launched) / TRIVIAL_CASES


def report(suite: str, m: Measured, starts: measure.Samples, trivial_s: float) -> str:
    """The parts of the run, in seconds and as shares of the payload's time."""
    runs = sum(m.runs.values())
    driver = m.inside - m.launched
    alone = median(starts["alone"])
    runtime = {c: n * (median(starts[c]) - alone) for c, n in m.runs.items()}
    interpreter = m.launched - m.payload - sum(runtime.values())
    parts = [
        ("payload: first line to last", m.payload, ""),
        ("interpreter, imports and launcher of ranks", interpreter, ""),
        ("container runtime", runtime["image"], each(starts["image"], m.runs["image"])),
        ("module load", runtime["module"], each(starts["module"], m.runs["module"])),
        (
            "driver (`jobrun`)",
            driver,
            f"{runs} runs, {measure.number(1e3 * driver / runs)} ms each",
        ),
        ("before: check bytes, write the job", m.before, "once"),
        ("after, and between runs: choose the next, judge", m.after, ""),
    ]
    rows = [
        [name, f"{measure.number(value)} s", f"{100 * value / m.payload:.2f} %", note]
        for name, value, note in parts
    ]
    whole_s = m.before + m.inside + m.after
    share = 100 * driver / m.payload
    all_ours = 100 * (driver + m.before + m.after) / m.payload
    return "\n\n".join(
        [
            f"Suite `{suite}`, {runs} runs, {measure.number(whole_s)} s in all:",
            measure.table(["part", "time", "of the payload's time", ""], rows),
            f"A run of a payload that does nothing takes the driver {1e3 * trivial_s:.1f} ms"
            f" ({TRIVIAL_CASES} such runs).",
            measure.verdict("the driver takes", share, 100 * GOAL, "% of the payload's time"),
            f"With what comes once before and after it: {measure.number(all_ours)} %.",
        ]
    )


def each(samples: Sequence[float], runs: int) -> str:
    """How often, and what one takes."""
    return f"{runs} runs, {measure.number(median(samples))} s each ({measure.span(samples)})"


if __name__ == "__main__":
    main()
