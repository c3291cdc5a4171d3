"""Realistic report data: a first release, a good update, and three that must be refused."""

from __future__ import annotations

import copy
import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stackwright.certify.coverage import Coverage
from stackwright.report import Certificate, Plan, Previous, Provenance, ReportData

LABEL = "pytorch/2.13.0-cpu@local"
NONCE = "9f1c2b7a4d5e6f708192a3b4c5d6e7f8"
RANK_OF_BOUND = {8: 1, 16: 4, 32: 10}  # VALIDATION: k for alpha = 0.05/3 per side and look

PLAN = Plan(
    packages=(
        ("h5py", "3.15.1"),
        ("ipykernel", "7.1.0"),
        ("mpi4py", "4.1.1"),
        ("numpy", "2.4.6"),
        ("torch", "2.13.0+cpu"),
    ),
    env={"OMP_PROC_BIND": "close", "PYTHONNOUSERSITE": "1", "UCX_TLS": "self,sm,tcp"},
    os_packages=(("libgomp1", "12.2.0-14"), ("mpich", "4.0.2-3")),
)
OLD_PLAN = Plan(
    packages=(
        ("h5py", "3.14.0"),
        ("mpi4py", "4.1.1"),
        ("numpy", "2.3.9"),
        ("tensorboard", "2.20.0"),
        ("torch", "2.12.1+cpu"),
    ),
    env={"OMP_PROC_BIND": "close", "KMP_BLOCKTIME": "1"},
    os_packages=(("libgomp1", "12.2.0-14"), ("mpich", "4.0.2-2")),
)
STACKS = (
    "Timeout (0:01:55)!\n"
    "Thread 0x00007f2a1b7fe700 (most recent call first):\n"
    '  File "/opt/stackwright/lib/python3.11/site-packages/torch/distributed/'
    'distributed_c10d.py", line 3012 in all_reduce\n'
    '  File "/stackwright/payload/cases/gradients.py", line 88 in mean_gradient\n',
    "Timeout (0:01:55)!\n"
    "Thread 0x00007f6c9d2a1740 (most recent call first):\n"
    '  File "/stackwright/payload/cases/gradients.py", line 83 in wait_for_data\n',
)


def digest(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def arm(name: str) -> dict[str, str]:
    return {kind: digest(name + kind) for kind in ("plan_hash", "image", "squashfs", "prefix")}


def bounds(samples: Sequence[float], bound: float) -> dict[str, Any]:
    """The rule of docs/statistics.md on these samples, close enough for a picture."""
    n, ordered = len(samples), sorted(samples)
    k = RANK_OF_BOUND[n]
    lower, upper = ordered[k - 1], ordered[n - k]
    verdict = "PASS" if lower > bound else "FAIL" if upper < bound else "INCONCLUSIVE"
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return {
        "verdict": verdict,
        "n": n,
        "median": median,
        "lower": lower,
        "upper": upper,
        "bound": bound,
        "samples": list(samples),
    }


def metric(
    name: str, unit: str, fraction: float, floor: float, *, ratio: float | None, n: int = 16
) -> dict[str, Any]:
    """A metric with noise from a fixed seed; ratio None for a first release."""
    noise = random.Random(name)
    absolute = bounds([fraction * math.exp(noise.gauss(0, 0.03)) for _ in range(n)], floor)
    candidate = [151.0 * e / fraction for e in absolute["samples"]]
    relative = None
    baseline: list[float] = []
    if ratio is not None:
        ratios = [ratio * math.exp(noise.gauss(0, 0.025)) for _ in range(n)]
        relative = {**bounds(ratios, 0.95), "autocorrelation": 0.08}
        baseline = [c / r for c, r in zip(candidate, ratios, strict=True)]
    tests = [test["verdict"] for test in (relative, absolute) if test]
    verdict = next((v for v in ("FAIL", "INCONCLUSIVE") if v in tests), "PASS")
    reasons = []
    if verdict == "FAIL" and relative:
        slower = 1 - relative["median"]
        reasons = [f"{slower:.0%} slower than the released stack; at most 5% is allowed"]
    return {
        "name": name,
        "unit": unit,
        "direction": "higher",
        "verdict": verdict,
        "reasons": reasons,
        "values": {"candidate": candidate, "baseline": baseline},
        "relative": relative,
        "absolute": absolute,
    }


def case(id_: str, **fields: Any) -> dict[str, Any]:
    empty = {"checks": [], "metrics": [], "series": [], "info": {}, "reasons": []}
    return {"id": id_, "verdict": "PASS", "runs": 1, "seconds": 7.1, **empty, **fields}


def learning_curve() -> dict[str, Any]:
    samples = [64 * i for i in range(1, 25)]
    return {
        "t": "series",
        "name": "learning curve",
        "xlabel": "samples",
        "ylabel": "mean absolute error",
        "x": samples,
        "y": {
            "cosmoflow": [0.09 + 0.2 * math.exp(-s / 400) for s in samples],
            "trivial": [0.26] * len(samples),
            "power spectrum": [0.135] * len(samples),
        },
    }


def density_slice(side: int = 24) -> list[list[float]]:
    return [
        [math.sin(i / 3.1) * math.cos(j / 4.3) + 0.3 * math.sin(i * j / 17) for j in range(side)]
        for i in range(side)
    ]


def judged_cases(ratios: dict[str, float] | None) -> list[dict[str, Any]]:
    def measured(name: str, unit: str, fraction: float, floor: float) -> dict[str, Any]:
        return metric(name, unit, fraction, floor, ratio=ratios[name] if ratios else None)

    compute = [
        measured("gemm_fp32", "GFLOP/s", 0.83, 0.6),
        measured("gemm_fp64", "GFLOP/s", 0.79, 0.6),
        measured("conv3d_fp32", "GFLOP/s", 0.41, 0.25),
        measured("triad", "GB/s", 0.9, 0.7),
    ]
    return [
        case(
            "imports.none-1.image",
            checks=[
                {"name": "versions", "ok": True, "detail": "5 of 5 as locked"},
                {"name": "one_openmp_runtime", "ok": True, "detail": "libgomp.so.1 only"},
            ],
            info={"versions": {"torch": "2.13.0+cpu", "numpy": "2.4.6"}},
        ),
        case(
            "gradients.torchrun-2.image",
            checks=[
                {
                    "name": "mean_gradient_float64",
                    "ok": True,
                    "detail": "max relative error 2.1e-16 <= 1e-12",
                },
                {
                    "name": "parameters_equal",
                    "ok": True,
                    "detail": "hashes equal on 2 ranks after 20 steps",
                },
            ],
        ),
        case(
            "cosmoflow.torchrun-2.module",
            seconds=71.4,
            checks=[{"name": "beats_trivial", "ok": True, "detail": "MAE 0.091 <= 0.130"}],
            series=[learning_curve()],
            info={"density slice": density_slice(), "samples/s": 61.2},
        ),
        case("compute.none-1.image", runs=32 if ratios else 16, seconds=166.2, metrics=compute),
        case(
            "allreduce.mpirun-2.image",
            runs=32 if ratios else 16,
            seconds=98.0,
            checks=[{"name": "exact", "ok": True, "detail": "0 wrong of 4.2e6 elements"}],
            metrics=[measured("allreduce_64MiB", "GB/s", 0.52, 0.3)],
        ),
    ]


def asked_case(judged: dict[str, Any], compared: bool) -> dict[str, Any]:
    name, launcher_ranks, channel = judged["id"].rsplit(".", 2)
    launcher, ranks = launcher_ranks.split("-")
    argv = ["podman", "run", "--rm", "--name", "@NAME@", "-v", "@OUT@:/stackwright/out"]
    argv += [digest("image"), "python", f"/stackwright/payload/cases/{name}.py"]
    return {
        "id": judged["id"],
        "case": name,
        "channel": channel,
        "launcher": launcher,
        "ranks": int(ranks),
        "threads": 1,
        "timeout_s": 120,
        "looks": [8, 16, 32] if judged["metrics"] else [],
        "argv": {"candidate": argv} | ({"baseline": argv} if compared else {}),
        "kill": {"candidate": ["podman", "kill", "@NAME@"]},
        "env": {"LC_ALL": "C.UTF-8", "STACKWRIGHT_NONCE": "@NONCE@"},
        "checks": [check["name"] for check in judged["checks"]],
        "metrics": [
            {"name": m["name"], "unit": m["unit"], "roofline": "peak_fp32", "floor": 0.4}
            for m in judged["metrics"]
        ],
    }


def run_record(case_id: str, *, ranks: int = 1, **fields: Any) -> dict[str, Any]:
    lines = [[{"t": "begin", "rank": r, "world": ranks}, {"t": "end"}] for r in range(ranks)]
    ended = {"code": 0, "signal": None, "timed_out": False}
    return {
        "case": case_id,
        "arm": "candidate",
        "pair": 0,
        "position": 0,
        "seconds": 7.1,
        "exit": ended,
        "ranks": lines,
        "logs": {},
        **fields,
    }


def report(cases: list[dict[str, Any]], *, compared: bool, verdict: str = "PASS") -> ReportData:
    arms = {"candidate": arm("new"), "baseline": arm("old") if compared else None}
    suite = {"name": "certify", "digest": digest("suite")}
    job_id = "20261120T194000Z-1f2e3d4c"
    judgement = {
        "schema": "stackwright/judgement/1",
        "job_id": job_id,
        "label": LABEL,
        "system": "local",
        "job": digest("job"),
        "results": digest("results"),
        "arms": arms,
        "suite": suite,
        "verdict": verdict,
        "kind": "COMPARED" if compared else "BASELINE",
        "reasons": [],
        "cases": cases,
    }
    job = {
        "schema": "stackwright/job/1",
        "job_id": job_id,
        "nonce": NONCE,
        "created": "2026-11-20T19:40:00Z",
        "label": LABEL,
        "system": "local",
        "suite": suite,
        "payload": digest("payload"),
        "seed": 7,
        "arms": arms,
        "host": {"cpu": "AMD EPYC 9655", "cores": 2, "kernel": "6.1.0-30-amd64"},
        "cases": [asked_case(judged, compared) for judged in cases],
    }
    logs = {f"logs/{c['id']}/0-candidate/output.log": f"{c['id']}: started\ndone\n" for c in cases}
    return ReportData(
        judgement=judgement,
        job=job,
        runs=[run_record(c["id"]) for c in cases],
        plan=PLAN,
        artefact={"plan_hash": digest("newplan_hash"), "label": LABEL},
        provenance=Provenance(
            run_dir=f"store/runs/{job_id}",
            lock=digest("lock"),
            host=job["host"],  # type: ignore[arg-type]
            tools={"podman": "4.3.1", "mksquashfs": "4.5.1", "Lmod": "8.7.18"},
            commands=("stackwright build " + LABEL, "stackwright validate " + LABEL),
        ),
        previous=previous(cases) if compared else None,
        logs=logs,
    )


def previous(cases: list[dict[str, Any]]) -> Previous:
    asked = Coverage("certify", digest("suite"), frozenset(case["id"] for case in cases))
    return Previous(OLD_PLAN, old_judgement(), asked)


def old_judgement() -> dict[str, Any]:
    cases = judged_cases(None)
    cases[1]["checks"][0]["detail"] = "max relative error 1.8e-16 <= 1e-12"
    return {"cases": cases, "label": "pytorch/2.12.1-cpu@local"}


def certified(data: ReportData, *, verified: bool = True, message: str = "ok") -> ReportData:
    statement = {
        "predicate": {
            "expires": "2027-05-19T19:50:00Z",
            "evidence": {"job": digest("job"), "results": digest("results")},
            "waivers": [],
        }
    }
    certificate = Certificate(statement, verified, message, ("release-3f2a",), digest("cert"))
    return replace(data, certificate=certificate)


FAST = {"gemm_fp32": 1.02, "gemm_fp64": 1.0, "conv3d_fp32": 1.11, "triad": 0.998}
FAST |= {"allreduce_64MiB": 1.01}


def pass_baseline() -> ReportData:
    return certified(report(judged_cases(None), compared=False))


def pass_compared() -> ReportData:
    return certified(report(judged_cases(FAST), compared=True))


def asked_less() -> ReportData:
    """Compared with a release that had to pass two cases more."""
    cases = judged_cases(FAST)
    data = report(cases[:3], compared=True)
    smoke = {"name": "smoke", "digest": digest("smoke")}
    return replace(
        data,
        judgement={**data.judgement, "suite": smoke},
        job={**data.job, "suite": smoke},
        previous=previous(cases),
    )


def fail_slow() -> ReportData:
    cases = judged_cases(FAST | {"conv3d_fp32": 0.8})
    cases[3]["verdict"] = "FAIL"
    cases[1]["verdict"] = "FAIL"
    cases[1]["reasons"] = ["check mean_gradient_float64 does not hold on rank 0"]
    cases[1]["checks"][0] |= {"ok": False, "detail": "max relative error 0.5 > 1e-12"}
    return report(cases, compared=True, verdict="FAIL")


def hung() -> ReportData:
    cases = judged_cases(FAST)
    id_ = cases[1]["id"]
    cases[1] |= {"verdict": "HUNG", "seconds": 120.4}
    cases[1]["reasons"] = ["pair 0 candidate: did not end within 120 s"]
    for check in cases[1]["checks"]:
        check |= {"ok": False, "detail": "reported by no rank"}
    data = report(cases, compared=True, verdict="HUNG")
    stuck = run_record(
        id_,
        ranks=2,
        seconds=120.4,
        exit={"code": None, "signal": 9, "timed_out": True},
    )
    stuck["ranks"] = [[{"t": "begin", "rank": rank, "world": 2}] for rank in range(2)]
    runs = [stuck if run["case"] == id_ else run for run in data.runs]
    stacks = {f"logs/{id_}/0-candidate/rank-{r}.stack": text for r, text in enumerate(STACKS)}
    return replace(data, runs=runs, logs={**data.logs, **stacks})


def unavailable() -> ReportData:
    """A case needs what the system lacks, so that it has no runs."""
    cases = judged_cases(FAST)
    cases[3] |= {"verdict": "UNAVAILABLE", "runs": 0, "seconds": 0.0, "checks": []}
    cases[3]["reasons"] = ["needs gpu-aware-mpi, which local lacks"]
    for judged in cases[3]["metrics"]:
        judged |= {"verdict": "UNAVAILABLE", "relative": None, "absolute": None}
        judged["values"] = {"candidate": [], "baseline": []}
    return report(cases, compared=True, verdict="UNAVAILABLE")


def invalid() -> ReportData:
    cases = judged_cases(FAST)
    cases[3] |= {"verdict": "INVALID", "runs": 9}
    cases[3]["reasons"] = [
        "pair 4 candidate: exit code 139",
        "pair 4 candidate: metric triad is missing",
    ]
    for judged in cases[3]["metrics"]:
        judged |= {"verdict": "UNAVAILABLE", "relative": None, "absolute": None}
        judged["reasons"] = ["not judged, as the case's runs are not fit to be"]
        judged["values"] = {"candidate": [], "baseline": []}
    data = report(cases, compared=True, verdict="INVALID")
    crashed = run_record(
        cases[3]["id"], pair=4, exit={"code": 139, "signal": None, "timed_out": False}
    )
    crashed["ranks"] = [[{"t": "begin", "rank": 0}, {"t": "metric", "name": "gemm_fp32"}]]
    judgement = copy.deepcopy(dict(data.judgement))
    judgement["reasons"] = ["results.jsonl:41: 'prev' is not the hash of the line before"]
    log = {f"logs/{cases[3]['id']}/4-candidate/output.log": "Segmentation fault (core dumped)\n"}
    logs = {**data.logs, **log}
    return replace(data, judgement=judgement, runs=[*data.runs, crashed], logs=logs)


ALL = {
    "pass-baseline": pass_baseline,
    "pass-compared": pass_compared,
    "fail-slow": fail_slow,
    "hung": hung,
    "invalid": invalid,
    "unavailable": unavailable,
}
