"""What somebody without the builder's key can do to a run folder, to make a failure look good.

tamper.py RUN values              the candidate's figures, and its failed checks
tamper.py RUN values chain        the same, and every `prev` of the hash chain computed anew
tamper.py RUN without=CASE chain  the lines of a case taken out
tamper.py RUN judgement           judgement.json made to fit whatever the results say now
tamper.py RUN floors              floors lowered, losses and time limits widened in job.json
tamper.py RUN signature           results.dsse.json signed with a key made up for this
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.canonical import hash_bytes
from stackwright.certify.attest import attest_results
from stackwright.certify.keys import PrivateKey
from stackwright.validation.gate import judge

FASTER = 1.01
Record = dict[str, Any]


def _lines(run: Path) -> list[Record]:
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def _write(run: Path, records: list[Record]) -> None:
    lines = (json.dumps(record) + "\n" for record in records)
    (run / "results.jsonl").write_text("".join(lines))


def values(run: Path) -> None:
    """Make the candidate a trifle faster than the baseline in every pair, and every check true.

    Pairs beyond the first look go: the rule would not have asked for them.
    """
    job = json.loads((run / "job.json").read_bytes())
    first_look = {case["id"]: min(case["looks"], default=1) for case in job["cases"]}
    records = [record for record in _lines(run) if record["pair"] < first_look[record["case"]]]
    before = {key: value for r in records if r["arm"] == "baseline" for key, value in _figures(r)}
    for record in (r for r in records if r["arm"] == "candidate"):
        for rank, line in _ranked(record):
            if line["t"] == "metric":
                line["value"] = FASTER * before[_key(record, rank, line)]
            if line["t"] == "check":
                line["ok"] = True
    _write(run, records)


def _ranked(record: Record) -> Iterator[tuple[int, Record]]:
    return ((rank, line) for rank, lines in enumerate(record["ranks"]) for line in lines)


def _key(record: Record, rank: int, line: Record) -> tuple[str, int, int, str]:
    return record["case"], record["pair"], rank, line["name"]


def _figures(record: Record) -> Iterator[tuple[tuple[str, int, int, str], float]]:
    for rank, line in _ranked(record):
        if line["t"] == "metric":
            yield _key(record, rank, line), line["value"]


def chain(run: Path) -> None:
    """Compute each `prev` anew: the chain is made of hashes, which anyone can compute."""
    before, chained = (run / "job.json").read_bytes(), []
    for record in _lines(run):
        chained.append({**record, "prev": hash_bytes(before)})
        before = json.dumps(chained[-1]).encode()
    _write(run, chained)


def without(run: Path, case: str) -> None:
    """Take out every line of a case."""
    _write(run, [record for record in _lines(run) if record["case"] != case])


def judgement(run: Path) -> None:
    """Judge the results as they are now."""
    job, results = ((run / name).read_bytes() for name in ("job.json", "results.jsonl"))
    (run / "judgement.json").write_text(judge(job, results).to_json())


def floors(run: Path) -> None:
    """Let job.json tolerate nearly any time, loss and distance from the ceiling."""
    job = json.loads((run / "job.json").read_bytes())
    for case in job["cases"]:
        case["timeout_s"] *= 10
    for metric in (metric for case in job["cases"] for metric in case["metrics"]):
        metric["delta"] = 0.9
        metric["floor"] = metric["floor"] and 1e-6
    (run / "job.json").write_text(json.dumps(job, indent=1) + "\n")


def signature(run: Path) -> None:
    """Sign the files with a key of one's own."""
    key = PrivateKey.of(ec.generate_private_key(ec.SECP256R1()))
    job, results = ((run / name).read_bytes() for name in ("job.json", "results.jsonl"))
    (run / "results.dsse.json").write_bytes(attest_results(job, results, key))


DEEDS: dict[str, Callable[..., None]] = {
    deed.__name__: deed for deed in (values, chain, without, judgement, floors, signature)
}


def main() -> None:
    """Do the deeds named on the command line, in that order."""
    run = Path(sys.argv[1])
    for word in sys.argv[2:]:
        name, _, argument = word.partition("=")
        DEEDS[name](run, *filter(None, [argument]))


if __name__ == "__main__":
    main()
