"""The gate: what passes, and everything that must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from gate_evidence import (
    GEMM,
    PERFORMANCE,
    Record,
    a_job,
    a_rank,
    chain,
    digest,
    encode,
    gemm_lines,
    ok,
    sound_runs,
    timed_runs,
    verdict_on,
)

from stackwright.errors import StackwrightError
from stackwright.validation import rule
from stackwright.validation.gate import Judgement, candidate_first, judge
from stackwright.validation.results import load_job


def reasons(judgement: Judgement) -> list[str]:
    return [*judgement.reasons, *(r for case in judgement.cases for r in case.reasons)]


# --- what passes ---------------------------------------------------------------------------------


def test_sound_results_at_the_baselines_speed_pass():
    job = a_job()

    judgement = verdict_on(job, sound_runs(job))

    assert (judgement.verdict, judgement.kind, reasons(judgement)) == ("PASS", "COMPARED", [])
    (gemm,) = judgement.cases[1].metrics
    assert gemm.relative is not None
    assert gemm.absolute is not None
    assert (gemm.relative.n, gemm.relative.bound) == (8, 0.95)
    assert gemm.absolute.median == pytest.approx(0.601)
    assert gemm.values["baseline"] == (60.0,) * 8


def test_a_first_release_is_held_to_the_roofline_alone_and_called_baseline():
    job = a_job(released=False)

    judgement = verdict_on(job, sound_runs(job))

    assert (judgement.verdict, judgement.kind) == ("PASS", "BASELINE")
    (gemm,) = judgement.cases[1].metrics
    assert gemm.relative is None
    assert gemm.values["baseline"] == ()


def test_a_metric_where_lower_is_better_passes_when_it_is_as_low():
    job = a_job()
    lower = {**GEMM, "direction": "lower", "floor": 0.6}
    job["cases"][1]["metrics"] = [lower]

    runs = [sound_runs(job)[0], *timed_runs(job, 8, lambda _: 60.0, peak=40.0)]
    judgement = verdict_on(job, runs)

    (metric,) = judgement.cases[1].metrics
    assert judgement.verdict == "PASS"
    assert metric.absolute is not None
    assert metric.absolute.median == pytest.approx(40 / 60)


def test_the_same_bytes_give_the_same_bytes():
    job = a_job()
    data = encode(job)
    results = chain(data, sound_runs(job))

    first, second = judge(data, results), judge(data, results)

    assert first.to_json() == second.to_json()
    assert Judgement.model_validate_json(first.to_json()) == first
    assert (first.job, first.results) == (digest(data), digest(results))


def test_series_and_info_of_the_first_candidate_run_are_kept_for_the_report():
    job, runs = a_job(), sound_runs(a_job())
    curve = {
        "name": "loss",
        "xlabel": "step",
        "ylabel": "MAE",
        "x": [1, 2],
        "y": {"net": [1, "nan"]},
    }
    runs[0]["ranks"][0][1:1] = [{"t": "series", **curve}]
    runs[0]["ranks"][1][1:1] = [{"t": "info", "name": "torch", "value": "2.13.0+cpu"}]

    case = verdict_on(job, runs).cases[0]

    assert json.loads(case.model_dump_json())["series"] == [curve]
    assert case.info == {"torch": "2.13.0+cpu"}


# --- what is measured and is not good enough -----------------------------------------------------


def test_a_20_percent_slowdown_fails_and_says_by_how_much():
    job = a_job()

    judgement = verdict_on(job, [sound_runs(job)[0], *timed_runs(job, 8, lambda _: 48.0)])

    (gemm,) = judgement.cases[1].metrics
    assert judgement.verdict == "FAIL"
    assert gemm.reasons == ("0.8 of the released stack's [0.8, 0.8]: below 0.95",)


def test_a_stack_far_below_the_roofline_fails_though_it_is_the_first():
    job = a_job(released=False)

    judgement = verdict_on(job, [sound_runs(job)[0], *timed_runs(job, 8, lambda _: 30.0)])

    assert judgement.verdict == "FAIL"
    assert "of the roofline" in judgement.cases[1].metrics[0].reasons[0]


def test_a_stack_that_is_faster_than_the_hardware_is_invalid():
    job = a_job()

    judgement = verdict_on(job, [sound_runs(job)[0], *timed_runs(job, 8, lambda _: 184.0)])

    (gemm,) = judgement.cases[1].metrics
    assert (judgement.verdict, judgement.cases[1].verdict) == ("INVALID", "INVALID")
    assert gemm.absolute is not None
    assert (gemm.verdict, gemm.absolute.verdict) == ("INVALID", "INVALID")
    assert gemm.reasons == (
        "1.84 of the roofline [1.84, 1.84]: faster than the hardware; "
        "the timing or the probe is wrong",
    )


def test_one_pair_within_the_ceiling_leaves_it_open_whether_the_probe_is_wrong():
    job = a_job()
    runs = timed_runs(job, 8, lambda pair: 140.0 if pair == 3 else 184.0)

    assert verdict_on(job, [sound_runs(job)[0], *runs]).verdict == "PASS"


def test_noise_that_hides_the_answer_through_the_last_look_is_inconclusive():
    job = a_job()
    noisy = timed_runs(job, 16, lambda pair: 60.0 * (0.8 if pair % 2 else 1.2))

    judgement = verdict_on(job, [sound_runs(job)[0], *noisy])

    assert judgement.verdict == "INCONCLUSIVE"
    assert "16 pairs cannot tell it from 0.95" in judgement.cases[1].metrics[0].reasons[0]


def test_a_false_check_fails():
    job, runs = a_job(), sound_runs(a_job())
    runs[0]["ranks"][0][1] = {**ok(), "ok": False, "detail": "0.5 > 1e-12"}

    judgement = verdict_on(job, runs)

    assert judgement.verdict == "FAIL"
    assert judgement.cases[0].checks[0].detail == "0.5 > 1e-12"
    assert reasons(judgement) == ["pair 0 candidate: check mean_gradient: 0.5 > 1e-12"]


def test_a_check_that_is_false_on_one_rank_only_fails():
    job, runs = a_job(), sound_runs(a_job())
    runs[0]["ranks"][1][1:1] = [{**ok(), "ok": False, "detail": "rank 1 differs"}]

    assert verdict_on(job, runs).verdict == "FAIL"


def test_a_timed_case_whose_check_breaks_in_one_pair_fails_though_it_is_fast():
    job = a_job(released=False)
    job["cases"][1]["checks"] = ["verified"]
    runs = sound_runs(job)
    for run in runs[1:]:
        run["ranks"][0][1:1] = [ok("verified")]
    runs[5]["ranks"][0][1] = {**ok("verified"), "ok": False}

    case = verdict_on(job, runs).cases[1]

    assert (case.verdict, case.metrics[0].verdict) == ("FAIL", "UNAVAILABLE")


def test_a_baseline_that_computes_wrongly_is_no_reference():
    job = a_job()
    job["cases"][1]["checks"] = ["verified"]
    runs = sound_runs(job)
    for run in runs[1:]:
        fine = run["arm"] == "candidate"
        run["ranks"][0][1:1] = [{**ok("verified"), "ok": fine}]

    judgement = verdict_on(job, runs)

    assert judgement.verdict == "INVALID"
    assert "a baseline that computes wrongly is no reference" in reasons(judgement)[0]


def test_a_run_that_timed_out_is_hung_and_points_to_the_stacks():
    job, runs = a_job(), sound_runs(a_job())
    runs[0]["exit"] = {"code": None, "signal": 9, "timed_out": True}
    runs[0]["ranks"][1].pop()
    runs[0]["logs"] = {"logs/x/rank-1.stack": digest("stack")}

    judgement = verdict_on(job, runs)

    assert judgement.verdict == "HUNG"
    assert reasons(judgement) == [
        "pair 0 candidate: no end within 120 s; stacks of the ranks: logs/x/rank-1.stack"
    ]


# --- over the nodes of an allocation --------------------------------------------------------------


NODES: Record = {"nodes": ["n1", "n2"], "hostnames": ["nid0001", "nid0002"]}


def over_nodes(hosts: tuple[str, ...]) -> tuple[Record, list[Record]]:
    """A job over two nodes, and the runs of ranks that ran on these hosts."""
    job = a_job(released=False) | {"launcher": "srun", "host": NODES}
    runs = sound_runs(job)
    for rank, host in zip(runs[0]["ranks"], hosts, strict=True):
        rank[0]["host"] = host
    return job, runs


def test_ranks_that_ran_on_the_nodes_of_the_job_pass():
    """The timed case has one rank, and so one node."""
    assert verdict_on(*over_nodes(("nid0001", "nid0002"))).verdict == "PASS"


@pytest.mark.parametrize(
    "hosts", [("nid0001", "nid0001"), ("nid0001", "nid0003"), ("login1", "elsewhere"), ("n1", "n2")]
)
def test_ranks_that_ran_on_other_nodes_are_invalid(hosts: tuple[str, ...]):
    judgement = verdict_on(*over_nodes(hosts))

    assert judgement.verdict == "INVALID"
    ran = ", ".join(sorted({*hosts}))
    assert f"pair 0 candidate: ranks ran on {ran}, not on nid0001, nid0002" in reasons(judgement)


def test_a_rank_alone_runs_on_the_first_node():
    job, runs = over_nodes(("nid0001", "nid0002"))
    for run in runs[1:]:
        run["ranks"][0][0]["host"] = "nid0002"

    judgement = verdict_on(job, runs)

    assert "pair 0 candidate: ranks ran on nid0002, not on nid0001" in reasons(judgement)


@pytest.mark.parametrize(
    "change",
    [
        {"launcher": "srun"},
        {"host": NODES},
        {"launcher": "mpirun"},
        {"launcher": "srun", "host": {"nodes": ["n1", "n2"]}},
        {"launcher": "srun", "host": NODES | {"hostnames": ["nid0001"]}},
    ],
)
def test_nodes_and_srun_go_together(change: Record):
    with pytest.raises(StackwrightError):
        verdict_on(a_job() | change, [])


# --- vacuous passes: the job ----------------------------------------------------------------------


def test_a_job_without_cases_is_invalid():
    job = {**a_job(), "cases": []}

    judgement = verdict_on(job, [])

    assert judgement.verdict == "INVALID"
    assert judgement.reasons == ("the job has no cases: nothing was validated",)


def test_a_metric_without_baseline_and_roofline_has_no_reference():
    job = a_job(released=False)
    bare = {**GEMM, "roofline": None, "floor": None, "roofline_floor": None}
    job["cases"][1]["metrics"] = [bare]

    judgement = verdict_on(job, sound_runs(job))

    assert judgement.verdict == "INVALID"
    assert reasons(judgement) == [
        "metric gemm_fp32 has no reference: neither a released baseline nor a roofline"
    ]


# --- vacuous passes: one run ---------------------------------------------------------------------

Break = Callable[[Record], Any]


def emitted(run: Record, kind: str, rank: int = 0) -> Record:
    return next(line for line in run["ranks"][rank] if line["t"] == kind)


def drop(run: Record, kind: str, rank: int = 0) -> None:
    run["ranks"][rank].remove(emitted(run, kind, rank))


def add(run: Record, line: Record, rank: int = 0) -> None:
    run["ranks"][rank].insert(1, line)


def other_plan(run: Record) -> Record:
    return {**emitted(run, "begin")["manifest"], "plan_hash": digest("another plan")}


def other_tree(run: Record) -> Record:
    return {**emitted(run, "begin")["manifest"], "tree": digest("another tree")}


BROKEN_CORRECTNESS_RUN: dict[str, tuple[Break, str]] = {
    "non-zero exit": (lambda r: r["exit"].update(code=1), "exit code 1"),
    "killed": (lambda r: r["exit"].update(code=None, signal=9), "ended by signal 9"),
    "no exit code": (lambda r: r["exit"].update(code=None), "no exit code"),
    "damaged evidence": (lambda r: r.update(problems=["rank 0 is over 4 MiB"]), "over 4 MiB"),
    "a rank is missing": (lambda r: r["ranks"].pop(), "ranks that reported: 1, ranks asked for: 2"),
    "no rank at all": (lambda r: r["ranks"].clear(), "ranks that reported: 0, ranks asked for: 2"),
    "a rank too many": (
        lambda r: r["ranks"].append(a_rank(a_job(), "candidate", 2, 2, [])),
        "rank 2 is beyond the last one asked for, 1",
    ),
    "a rank twice": (lambda r: emitted(r, "begin", 1).update(rank=0), "rank 0 reported 2 times"),
    "two singletons": (
        lambda r: emitted(r, "begin", 1).update(world=1),
        "rank 1 saw a world of 1, not of 2",
    ),
    "no begin": (lambda r: drop(r, "begin", 1), "rank file 1 does not start with its one 'begin'"),
    "two begins": (
        lambda r: add(r, emitted(r, "begin")),
        "rank file 0 does not start with its one 'begin'",
    ),
    "no end": (lambda r: drop(r, "end", 1), "rank file 1 does not stop at its one 'end'"),
    "lines after the end": (
        lambda r: r["ranks"][1].append({"t": "info", "name": "late", "value": 1}),
        "rank file 1 does not stop at its one 'end'",
    ),
    "two ends": (lambda r: add(r, {"t": "end"}), "rank file 0 does not stop at its one 'end'"),
    "an empty rank file": (lambda r: r["ranks"][1].clear(), "rank file 1 does not start"),
    "another job's output": (
        lambda r: emitted(r, "begin", 1).update(nonce="f" * 32),
        "rank 1 has another nonce: its output is left over",
    ),
    "the host was measured": (
        lambda r: emitted(r, "begin").update(manifest=None),
        "rank 0: /opt/stack has no manifest: the host was measured, not the stack",
    ),
    "another plan": (
        lambda r: emitted(r, "begin").update(manifest=other_plan(r)),
        "rank 0 ran in a stack of plan",
    ),
    "another image": (
        lambda r: emitted(r, "begin").update(manifest=other_tree(r)),
        "rank 0 ran in the prefix",
    ),
    "a check is missing": (lambda r: drop(r, "check"), "check mean_gradient is missing"),
    "a check twice": (lambda r: add(r, ok()), "rank file 0 has check mean_gradient 2 times"),
    "a misspelt check": (
        lambda r: add(r, ok("mean_gradeint")),
        "check mean_gradeint was not asked for",
    ),
    "a metric nobody asked for": (
        lambda r: add(r, gemm_lines(1.0)[0]),
        "metric gemm_fp32 was not asked for",
    ),
    "run twice": (lambda r: r.update(pair=1), "the runs are numbered up to pair 1"),
    "wrong position": (lambda r: r.update(position=1), "ran at position 1, not where asked"),
    "the wrong arm": (lambda r: r.update(arm="baseline"), "pair 0 candidate ran 0 times, not once"),
}


@pytest.mark.parametrize("what", BROKEN_CORRECTNESS_RUN)
def test_a_broken_correctness_run_is_invalid(what: str):
    breaks, reason = BROKEN_CORRECTNESS_RUN[what]
    job, runs = a_job(), sound_runs(a_job())
    breaks(runs[0])

    judgement = verdict_on(job, runs)

    assert judgement.verdict == "INVALID"
    assert judgement.cases[0].verdict == "INVALID"
    assert any(reason in r for r in reasons(judgement)), reasons(judgement)


BROKEN_TIMED_RUN: dict[str, tuple[Break, str]] = {
    "a metric is missing": (lambda r: drop(r, "metric"), "metric gemm_fp32 is missing"),
    "a metric twice": (lambda r: add(r, gemm_lines(99.0)[0]), "metric gemm_fp32 was reported 2"),
    "a misspelt metric": (
        lambda r: add(r, {**gemm_lines(1.0)[0], "name": "gem"}),
        "metric gem was not asked for",
    ),
    "not a number": (lambda r: emitted(r, "metric").update(value="nan"), "gemm_fp32 is nan: not a"),
    "infinite": (lambda r: emitted(r, "metric").update(value="inf"), "gemm_fp32 is inf: not a"),
    "zero": (lambda r: emitted(r, "metric").update(value=0), "gemm_fp32 is 0.0: not a positive"),
    "another unit": (
        lambda r: emitted(r, "metric").update(unit="TFLOP/s"),
        "metric gemm_fp32 is in 'TFLOP/s', not in 'GFLOP/s'",
    ),
    "the probe is missing": (lambda r: drop(r, "probe"), "probe peak_fp32 is missing"),
    "the probe is not a number": (
        lambda r: emitted(r, "probe").update(value="nan"),
        "probe peak_fp32 is nan",
    ),
    "the probe in another unit": (
        lambda r: emitted(r, "probe").update(unit="GB/s"),
        "probe peak_fp32 is in 'GB/s'",
    ),
    "the probe below its floor": (
        lambda r: emitted(r, "probe").update(value=9.9),
        "probe peak_fp32 measured 9.9 GFLOP/s, below its own floor of 10",
    ),
}


@pytest.mark.parametrize("arm", ["candidate", "baseline"])
@pytest.mark.parametrize("what", BROKEN_TIMED_RUN)
def test_one_broken_run_among_sixteen_is_invalid(what: str, arm: str):
    breaks, reason = BROKEN_TIMED_RUN[what]
    job, runs = a_job(), sound_runs(a_job())
    breaks(next(run for run in runs[1:] if run["pair"] == 5 and run["arm"] == arm))

    judgement = verdict_on(job, runs)

    assert (judgement.verdict, judgement.cases[1].verdict) == ("INVALID", "INVALID")
    assert any(f"pair 5 {arm}: " in r and reason in r for r in reasons(judgement))


def test_ratios_beyond_the_doubles_are_invalid():
    job, runs = a_job(), sound_runs(a_job())
    for run in runs[1:]:
        emitted(run, "metric")["value"] = 1e300 if run["arm"] == "candidate" else 1e-300

    assert "not positive and finite" in reasons(verdict_on(job, runs))[0]


# --- vacuous passes: the set of runs -------------------------------------------------------------


def test_a_case_that_never_ran_is_invalid():
    job = a_job()

    judgement = verdict_on(job, sound_runs(job)[1:])

    assert (judgement.verdict, judgement.cases[0].reasons) == ("INVALID", ("never ran",))
    assert judgement.cases[1].verdict == "PASS"


def test_a_case_that_needs_what_the_system_lacks_is_unavailable_and_never_passes():
    job = a_job()
    job["cases"][0]["lacks"] = ["gpu-aware-mpi"]

    judgement = verdict_on(job, sound_runs(job)[1:])

    case = judgement.cases[0]
    assert (judgement.verdict, case.verdict) == ("UNAVAILABLE", "UNAVAILABLE")
    assert case.reasons == ("needs gpu-aware-mpi, which local lacks",)
    assert (case.checks, case.runs) == ((), 0)


def test_a_timed_case_that_needs_what_the_system_lacks_has_no_metric_judged():
    job = a_job()
    job["cases"][1]["lacks"] = ["gpu-aware-mpi", "cray-pe-ml-plugin"]

    case = verdict_on(job, sound_runs(job)[:1]).cases[1]

    assert (case.verdict, len(case.reasons)) == ("UNAVAILABLE", 2)
    assert [metric.verdict for metric in case.metrics] == ["UNAVAILABLE"]


def test_a_case_that_ran_though_the_system_lacks_what_it_needs_is_invalid():
    job = a_job()
    job["cases"][0]["lacks"] = ["gpu-aware-mpi"]

    case = verdict_on(job, sound_runs(job)).cases[0]

    assert (case.verdict, case.reasons[-1]) == ("INVALID", "it ran nevertheless, 1 times")


def test_runs_of_a_case_that_was_not_asked_for_are_invalid():
    job, runs = a_job(), sound_runs(a_job())
    runs.append({**runs[0], "case": "gradeints.torchrun-2.image"})

    judgement = verdict_on(job, runs)

    assert judgement.verdict == "INVALID"
    assert "'gradeints.torchrun-2.image', which the job never asked for" in judgement.reasons[0]


def test_a_correctness_case_is_not_run_until_it_passes():
    job, runs = a_job(), sound_runs(a_job())
    runs.insert(1, {**runs[0], "pair": 1})

    assert any("running again until it passes" in r for r in reasons(verdict_on(job, runs)))


def test_fewer_pairs_than_the_first_look_are_invalid():
    job = a_job()

    judgement = verdict_on(job, sound_runs(job)[:-2])

    assert judgement.verdict == "INVALID"
    assert reasons(judgement) == ["stopped after 7 pairs; the rule asks for 8"]


def test_stopping_at_a_look_that_did_not_decide_is_invalid():
    job = a_job()
    noisy = timed_runs(job, 8, lambda pair: 60.0 * (0.8 if pair % 2 else 1.2))

    judgement = verdict_on(job, [sound_runs(job)[0], *noisy])

    assert reasons(judgement) == ["stopped after 8 pairs; the rule asks for 16"]


def test_measuring_on_after_a_fail_until_it_passes_is_invalid():
    job = a_job()
    runs = timed_runs(job, 16, lambda pair: 48.0 if pair < 8 else 90.0)

    judgement = verdict_on(job, [sound_runs(job)[0], *runs])

    assert judgement.verdict == "INVALID"
    assert reasons(judgement) == ["ran on to 16 pairs, though 8 had decided"]


def test_half_a_pair_is_invalid():
    job, runs = a_job(), sound_runs(a_job())
    lost = runs.pop()

    judgement = verdict_on(job, runs)

    assert reasons(judgement) == [f"pair 7 {lost['arm']} ran 0 times, not once"]


def test_a_pair_run_twice_is_invalid():
    job, runs = a_job(), sound_runs(a_job())

    judgement = verdict_on(job, [*runs, runs[-1]])

    assert reasons(judgement) == [f"pair 7 {runs[-1]['arm']} ran 2 times, not once"]


def test_a_gap_in_the_pairs_is_invalid():
    job, runs = a_job(), sound_runs(a_job())

    kept = [run for run in runs if (run["case"], run["pair"]) != (PERFORMANCE, 3)]

    judgement = verdict_on(job, kept)

    assert "pair 3 candidate ran 0 times, not once" in reasons(judgement)


def test_a_huge_pair_number_costs_nothing():
    job, runs = a_job(), sound_runs(a_job())
    runs[-1]["pair"] = 10**15

    assert "numbered up to pair 1000000000000000" in reasons(verdict_on(job, runs))[0]


def test_an_order_that_the_seed_did_not_give_is_invalid():
    job, runs = a_job(), sound_runs(a_job())
    runs[1], runs[2] = {**runs[2], "position": 0}, {**runs[1], "position": 1}

    judgement = verdict_on(job, runs)

    assert "the runs are not in the order that the job's seed gives" in reasons(judgement)
    assert "pair 0 candidate ran at position" in reasons(judgement)[1]


def test_a_baseline_run_in_a_first_release_is_invalid():
    job = a_job(released=False)
    runs = sound_runs(job)
    runs[3]["arm"] = "baseline"

    judgement = verdict_on(job, runs)

    assert "pair 2 baseline was not asked for" in reasons(judgement)
    assert "pair 2 baseline: the job has no such arm" in reasons(judgement)


def test_the_seeded_order_is_the_one_that_the_formats_promise():
    job = load_job(encode(a_job()))

    first = [candidate_first(job, job.cases[1], pair) for pair in range(8)]

    assert first == [False, False, False, False, True, False, False, True]


def test_a_defect_of_the_file_makes_all_invalid_though_each_case_passes():
    job = a_job()
    data = encode(job)

    judgement = judge(data, chain(data, sound_runs(job)) + b"{")

    assert {case.verdict for case in judgement.cases} == {"PASS"}
    assert judgement.verdict == "INVALID"
    assert judgement.reasons == ("results.jsonl:18: the last line is cut off",)


def test_a_job_that_cannot_be_read_is_an_error():
    with pytest.raises(StackwrightError, match=r"job\.json: is not JSON"):
        judge(b"{", b"")


# --- the driver and the gate agree ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "pairs"),
    [(lambda _: 60.0, 8), (lambda _: 48.0, 8), (lambda p: 60.0 * (0.8 if p % 2 else 1.2), 16)],
    ids=["no change", "slower", "noisy"],
)
@pytest.mark.parametrize("released", [True, False])
def test_a_driver_that_follows_the_rule_leaves_what_the_gate_accepts(speed, pairs, released):
    job = a_job(released=released)
    case = job["cases"][1]
    every = timed_runs(job, 16, speed)
    done = 0
    runs: list[Record] = []
    while done < rule.pairs_wanted(case, runs):
        runs += [run for run in every if run["pair"] == done]
        done += 1

    judgement = verdict_on(job, [sound_runs(job)[0], *runs])

    assert done == pairs if released else done == 8
    assert judgement.cases[1].verdict != "INVALID"
