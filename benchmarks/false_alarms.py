"""How often validating unchanged bytes raises a false alarm: the same suite, again and again.

Every finished run of this artefact, suite and payload that the store holds counts, whatever came of
it, and new ones are made until there are as many as asked. So it can be interrupted, and go on.
They are kept in a file beside this one, as evidence, and so that it goes on in a new store as well:
all builds of a plan have the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from math import comb
from pathlib import Path
from typing import Any

import measure
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.store import Store
from stackwright.validation.runs import Run, runs
from stackwright.validation.suites import payload_digest, suite_digest
from stackwright.workshop import Workshop

VERDICTS = ("PASS", "INCONCLUSIVE", "FAIL", "HUNG", "INVALID")
ALARMS = ("FAIL", "HUNG", "INVALID")
CONFIDENCE = 0.95
NEAREST = 8
ANSWER = ("n", "lower", "median", "bound")


def main() -> None:
    """Print the tables."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    parser.add_argument("--suite", help="else certify, or smoke with --quick")
    parser.add_argument("--runs", type=int, help="else 5, or 2 with --quick")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="else one beside this")
    chosen = parser.parse_args()
    suite = chosen.suite or ("smoke" if chosen.quick else "certify")
    wanted = chosen.runs or (2 if chosen.quick else 5)
    keep = chosen.keep or Path(__file__).with_suffix(f".{suite}.json")
    site, store = Site(measure.REPOSITORY), Store(chosen.store.absolute())
    places = ["--site", str(site.root), "--store", str(store.root)]
    measure.seconds([measure.STACKWRIGHT, *places, "build", measure.LABEL])
    while len(judged := finished(site, store, suite, keep)) < wanted:
        print(f"[{len(judged) + 1}/{wanted}] validate", file=sys.stderr, flush=True)
        argv = [measure.STACKWRIGHT, *places, "validate", measure.LABEL, "--suite", suite]
        done = subprocess.run(argv, stdout=sys.stderr, check=False)
        if len(finished(site, store, suite, keep)) == len(judged):
            sys.exit(f"no run came of it; validate ended with {done.returncode}")
    print(report(suite, judged))


def finished(site: Site, store: Store, suite: str, keep: Path) -> list[dict[str, Any]]:
    """The judgements of all finished runs that asked the same of the same bytes.

    Args:
        keep: the file of runs, to which the store's are added.
    """
    shop = Workshop(site, parse(measure.LABEL), store)
    same = [
        shop.artefact.image.digest,
        suite_digest(site.suite_file(suite)),
        payload_digest(site.root / "validation"),
    ]
    judged = [run for run in runs(store) if run.judgement and asked(run) == same]
    every = kept(keep, {run.job["job_id"]: entry(run) for run in judged})
    return [run["judgement"] for run in every.values() if run["asked"] == same]


def asked(run: Run) -> list[str]:
    """Of which bytes a run asked what: the digests of image, suite and payload."""
    job = run.job
    return [job["arms"]["candidate"]["image"], job["suite"]["digest"], job["payload"]]


def kept(keep: Path, found: dict[str, Any]) -> dict[str, Any]:
    """The runs of a file and those that were found, which are added to it; whole at any moment."""
    before = json.loads(keep.read_bytes()) if keep.exists() else {}
    if not found.keys() <= before.keys():
        fresh = keep.with_name(f"{keep.name}.new")
        fresh.write_text(f"{json.dumps(before | found, indent=1)}\n", encoding="utf-8")
        fresh.replace(keep)
    return before | found


def entry(run: Run) -> dict[str, Any]:
    """A run as the file keeps it: what it asked, of which bytes, and what the report is made of."""
    assert run.judgement
    cases = [
        {name: case[name] for name in ("id", "verdict", "seconds")}
        | {
            "metrics": [
                {
                    "name": metric["name"],
                    "verdict": metric["verdict"],
                    "absolute": metric["absolute"]
                    and {name: metric["absolute"][name] for name in ANSWER},
                }
                for metric in case["metrics"]
            ]
        }
        for case in run.judgement["cases"]
    ]
    of = {"verdict": run.judgement["verdict"], "cpu": run.job["host"]["cpu"]}
    return {"asked": asked(run), "judgement": {**of, "cases": cases}}


def report(suite: str, judged: Sequence[dict[str, Any]]) -> str:
    """What came of the runs, of their cases, and how near the metrics came to their floors."""
    cases = [case for judgement in judged for case in judgement["cases"]]
    minutes = [sum(case["seconds"] for case in j["cases"]) / 60 for j in judged]
    alarms = sum(judgement["verdict"] in ALARMS for judgement in judged)
    rows = [
        [of, str(len(told)), *(str(Counter(told)[verdict]) for verdict in VERDICTS)]
        for of, told in (
            ("whole suite", [judgement["verdict"] for judgement in judged]),
            ("cases", [case["verdict"] for case in cases]),
            ("metrics", [m["verdict"] for case in cases for m in case["metrics"]]),
        )
    ]
    processors = " and ".join(sorted({judgement["cpu"] for judgement in judged}))
    lines = [
        f"Suite `{suite}`, {len(judged)} runs of {measure.span(minutes)} minutes, on {processors}:",
        measure.table(["", "judged", *VERDICTS], rows),
        f"{alarms} false alarms in {len(judged)} runs: with {CONFIDENCE:.0%} confidence fewer than"
        f" {at_most(alarms, len(judged)):.0%} of runs raise one.",
        *alarming(cases),
        f"The {NEAREST} metrics nearest to their floors, in the run where they came nearest:",
        measure.table(["metric", "times its floor"], nearest(cases)),
    ]
    return "\n\n".join(lines)


def at_most(alarms: int, runs_: int) -> float:
    """The largest rate at which so few alarms have still a chance of 1 - CONFIDENCE.

    Clopper and Pearson, Biometrika 26 (1934) 404, one-sided; by bisection.
    """
    low, high = 0.0, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        chances = (comb(runs_, k) * rate**k * (1 - rate) ** (runs_ - k) for k in range(alarms + 1))
        low, high = (rate, high) if sum(chances) > 1 - CONFIDENCE else (low, rate)
    return high


def alarming(cases: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The cases that did not pass each time, by name."""
    told = Counter((case["id"], case["verdict"]) for case in cases if case["verdict"] != "PASS")
    if told:
        rows = [[name, verdict, str(times)] for (name, verdict), times in sorted(told.items())]
        yield measure.table(["case", "verdict", "times"], rows)


def nearest(cases: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The least of each metric's medians over its floor, the smallest first."""
    least: dict[str, float] = {}
    for case in cases:
        for metric in case["metrics"]:
            if answer := metric["absolute"]:
                name = f"{case['id']}: {metric['name']}"
                least[name] = min(least.get(name, float("inf")), answer["median"] / answer["bound"])
    ranked = sorted(least.items(), key=lambda item: item[1])[:NEAREST]
    return [[name, measure.number(times)] for name, times in ranked]


if __name__ == "__main__":
    main()
