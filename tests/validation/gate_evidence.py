"""Builds the smallest valid job and results, for tests that then break one thing."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from stackwright.validation.gate import Judgement, judge

Record = dict[str, Any]

CORRECTNESS = "gradients.torchrun-2.image"
PERFORMANCE = "compute.none-1.image"
NONCE = "0123456789abcdef" * 2


def digest(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return "sha256:" + hashlib.sha256(data).hexdigest()


def artefact(name: str) -> Record:
    return {key: digest(f"{name} {key}") for key in ("plan_hash", "image", "squashfs", "prefix")}


def a_case(name: str, *, ranks: int, **changes: Any) -> Record:
    return {
        "id": name,
        "case": name.partition(".")[0],
        "channel": "image",
        "launcher": "none",
        "ranks": ranks,
        "threads": 1,
        "timeout_s": 120,
        "looks": [],
        "argv": {"candidate": ["run", "it"]},
        "kill": {"candidate": []},
        "env": {},
        "checks": [],
        "metrics": [],
        **changes,
    }


GEMM: Record = {
    "name": "gemm_fp32",
    "unit": "GFLOP/s",
    "direction": "higher",
    "delta": 0.05,
    "roofline": "peak_fp32",
    "floor": 0.4,
    "roofline_floor": 10.0,
}


def a_job(*, released: bool = True) -> Record:
    """A correctness case on two ranks and a timed case; with a baseline if one is released."""
    arms = ("candidate", "baseline") if released else ("candidate",)
    return {
        "schema": "stackwright/job/1",
        "job_id": "20261120T194000Z-1f2e3d4c",
        "nonce": NONCE,
        "created": "2026-11-20T19:40:00Z",
        "label": "pytorch/2.13.0-cpu@local",
        "system": "local",
        "suite": {"name": "certify", "digest": digest("suite")},
        "payload": digest("payload"),
        "seed": 7,
        "arms": {
            "candidate": artefact("candidate"),
            "baseline": artefact("baseline") if released else None,
        },
        "host": {"cpu": "x86_64"},
        "cases": [
            a_case(CORRECTNESS, ranks=2, checks=["mean_gradient"]),
            a_case(
                PERFORMANCE,
                ranks=1,
                looks=[8, 16],
                argv={arm: ["time", "it"] for arm in arms},
                kill={arm: [] for arm in arms},
                metrics=[GEMM],
            ),
        ],
    }


def a_rank(job: Record, arm: str, rank: int, world: int, lines: Sequence[Record]) -> list[Record]:
    ran = job["arms"][arm]
    begin = {
        "t": "begin",
        "nonce": job["nonce"],
        "rank": rank,
        "world": world,
        "host": "nid0001",
        "pid": 100 + rank,
        "python": "/opt/stack/bin/python3.11",
        "prefix": "/opt/stack",
        "manifest": {"plan_hash": ran["plan_hash"], "tree": ran["prefix"]},
    }
    return [begin, *copy.deepcopy(list(lines)), {"t": "end"}]


def a_run(
    job: Record,
    case: Record,
    arm: str,
    lines: Sequence[Record],
    *,
    pair: int = 0,
    position: int = 0,
) -> Record:
    """A sound run in which rank 0 reports `lines`."""
    world = case["ranks"]
    return {
        "schema": "stackwright/run/1",
        "job_id": job["job_id"],
        "nonce": job["nonce"],
        "case": case["id"],
        "arm": arm,
        "pair": pair,
        "position": position,
        "started": "2026-11-20T19:41:00Z",
        "seconds": 1.5,
        "exit": {"code": 0, "signal": None, "timed_out": False},
        "ranks": [a_rank(job, arm, r, world, lines if r == 0 else []) for r in range(world)],
        "logs": {},
    }


def gemm_lines(value: float, peak: float = 100.0) -> list[Record]:
    return [
        {"t": "metric", "name": "gemm_fp32", "value": value, "unit": "GFLOP/s"},
        {"t": "probe", "name": "peak_fp32", "value": peak, "unit": "GFLOP/s"},
    ]


def ok(name: str = "mean_gradient") -> Record:
    return {"t": "check", "name": name, "ok": True, "detail": "2.1e-16 <= 1e-12"}


def timed_runs(
    job: Record, pairs: int, candidate: Callable[[int], float], peak: float = 100.0
) -> list[Record]:
    """Pairs of the timed case, in the seeded order; the baseline reaches 60 GFLOP/s."""
    case = job["cases"][1]
    runs = []
    for pair in range(pairs):
        order = ["candidate", "baseline"][: len(case["argv"])]
        if random.Random(f"{job['seed']}:{case['id']}:{pair}").random() >= 0.5:
            order.reverse()
        for position, arm in enumerate(order):
            value = candidate(pair) if arm == "candidate" else 60.0
            runs.append(
                a_run(job, case, arm, gemm_lines(value, peak), pair=pair, position=position)
            )
    return runs


def sound_runs(job: Record) -> list[Record]:
    """What a healthy candidate leaves: one correct run, and eight pairs at the baseline's speed."""
    correct = a_run(job, job["cases"][0], "candidate", [ok()])
    return [correct, *timed_runs(job, 8, lambda pair: 60.0 + 0.1 * (pair % 3))]


def encode(job: Record) -> bytes:
    return json.dumps(job).encode()


def chain(job: bytes, runs: Sequence[Record]) -> bytes:
    """results.jsonl with its hash chain, as the driver writes it."""
    before, lines = job, []
    for run in runs:
        before = json.dumps({**run, "prev": digest(before)}).encode()
        lines.append(before + b"\n")
    return b"".join(lines)


def verdict_on(job: Record, runs: Sequence[Record]) -> Judgement:
    data = encode(job)
    return judge(data, chain(data, runs))
