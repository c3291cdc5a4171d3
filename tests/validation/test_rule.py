"""The decision rule: exact bounds, looks fixed in advance, and what both promise."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
from gate_evidence import GEMM, PERFORMANCE, Record, a_case, a_job, gemm_lines, ok, timed_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from stackwright.validation import rule
from stackwright.validation.rule import ALPHA, Question, decide, decide_all, holm

LOOKS = (8, 16, 32)
ratios = st.floats(0.5, 2.0)

# --- bounds of the median ------------------------------------------------------------------------


def test_the_orders_are_those_of_the_documented_rule():
    assert [rule.order(n, ALPHA / 3) for n in (8, 16, 32)] == [1, 4, 10]
    assert [rule.order(n, ALPHA / 4) for n in (8, 16, 32, 64)] == [1, 4, 10, 23]


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("alpha", [0.2, 0.05, ALPHA / 3, 0.001])
def test_the_order_is_the_largest_whose_error_stays_within_alpha(n: int, alpha: float):
    """By enumeration: each sample is above or below the median with probability 1/2."""
    below = [sum(signs) for signs in itertools.product((0, 1), repeat=n)]

    def chance_that_the_lower_bound_is_wrong(k: int) -> float:
        return sum(count < k for count in below) / len(below)

    k = rule.order(n, alpha)

    assert chance_that_the_lower_bound_is_wrong(k) <= alpha
    assert chance_that_the_lower_bound_is_wrong(k + 1) > alpha


def test_too_few_samples_bound_nothing():
    assert rule.median_bounds([1.0, 2.0], 0.01) == (-math.inf, math.inf)


@settings(deadline=None)
@given(st.lists(ratios, min_size=8, max_size=40), st.randoms())
def test_bounds_do_not_depend_on_the_order_and_enclose_the_median(samples, rng):
    shuffled = rng.sample(samples, len(samples))

    lower, upper = rule.median_bounds(shuffled, ALPHA)

    assert (lower, upper) == rule.median_bounds(samples, ALPHA)
    assert lower <= sorted(samples)[len(samples) // 2] <= upper


@settings(deadline=None)
@given(st.lists(ratios, min_size=8, max_size=40), st.data())
def test_a_better_sample_never_lowers_a_bound(samples, data):
    i = data.draw(st.integers(0, len(samples) - 1))
    better = [*samples[:i], samples[i] + data.draw(ratios), *samples[i + 1 :]]

    before, after = rule.median_bounds(samples, ALPHA), rule.median_bounds(better, ALPHA)

    assert before[0] <= after[0]
    assert before[1] <= after[1]


@settings(deadline=None)
@given(st.lists(ratios, min_size=8, max_size=40), ratios)
def test_the_p_value_is_small_exactly_when_the_upper_bound_is_below(samples, bound):
    _, upper = rule.median_bounds(samples, ALPHA)

    assert (rule.sign_p_value(samples, bound) <= ALPHA) == (upper < bound)


# --- Holm ----------------------------------------------------------------------------------------


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis_and_keeps_the_order(p_values):
    adjusted = holm(p_values)

    for p, a in zip(p_values, adjusted, strict=True):
        assert p <= a <= min(1.0, len(p_values) * p) or a == p == 0
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [a for _, a in pairs] == sorted(a for _, a in pairs)


# --- decisions -----------------------------------------------------------------------------------


def test_a_clear_answer_is_given_at_the_first_look():
    assert decide([1.0] * 8, 0.95, LOOKS).verdict == "PASS"
    assert decide([0.9] * 8, 0.95, LOOKS).verdict == "FAIL"


def test_a_median_just_at_the_bound_is_neither_pass_nor_fail():
    assert decide([0.95] * 32, 0.95, LOOKS).verdict == "INCONCLUSIVE"


def test_before_the_first_look_nothing_is_said():
    assert decide([1.0] * 7, 0.95, LOOKS) == rule.UNSEEN


def test_between_looks_the_last_look_counts():
    unclear = [1.0, 0.9] * 5

    decision = decide(unclear, 0.95, LOOKS)

    assert (decision.verdict, decision.n) == ("CONTINUE", 8)


def test_one_outlier_among_eight_only_costs_time():
    assert decide([0.5, *[1.0] * 7], 0.95, LOOKS).verdict == "CONTINUE"
    assert decide([0.5, *[1.0] * 15], 0.95, LOOKS) == rule.Decision("PASS", 16, 1.0, 1.0, 1.0)


@settings(deadline=None)
@given(st.lists(ratios, min_size=32, max_size=32), st.lists(ratios, max_size=8))
def test_what_comes_after_a_decision_does_not_change_it(samples, more):
    decision = decide(samples, 0.95, LOOKS)

    assert decide([*samples, *more], 0.95, LOOKS) == decision
    assert decide(samples[: decision.n], 0.95, LOOKS) == decision


@settings(deadline=None)
@given(st.lists(ratios, min_size=32, max_size=32), st.randoms())
def test_the_order_between_two_looks_does_not_matter(samples, rng):
    blocks = [samples[:8], samples[8:16], samples[16:]]
    shuffled = [x for block in blocks for x in rng.sample(block, len(block))]

    assert decide(shuffled, 0.95, LOOKS) == decide(samples, 0.95, LOOKS)


@settings(deadline=None)
@given(st.lists(ratios, min_size=32, max_size=32), st.integers(-20, 20))
def test_units_do_not_matter(samples, power):
    scale = 2.0**power  # a power of two scales exactly

    scaled = decide([x * scale for x in samples], 0.95 * scale, LOOKS)

    assert scaled.verdict == decide(samples, 0.95, LOOKS).verdict


@settings(deadline=None)
@given(st.lists(ratios, min_size=32, max_size=32), st.lists(st.floats(0, 1), min_size=32))
def test_a_faster_candidate_is_never_judged_worse(samples, gains):
    order = ["FAIL", "INCONCLUSIVE", "PASS"]
    faster = [x + g for x, g in zip(samples, gains, strict=False)]

    before, after = decide(samples, 0.95, LOOKS), decide(faster, 0.95, LOOKS)

    assert order.index(before.verdict) <= order.index(after.verdict)


def test_among_many_metrics_a_fail_takes_more_evidence_and_a_pass_does_not():
    slow, fine = (0.9,) * 16, (1.0,) * 16
    suite = [Question(slow, 0.95), *[Question(fine, 0.95)] * 9]

    early = decide_all([Question(q.samples[:8], q.bound) for q in suite], LOOKS)
    late = decide_all(suite, LOOKS)

    assert [d.verdict for d in early] == ["CONTINUE"] + ["PASS"] * 9
    assert [d.verdict for d in late] == ["FAIL"] + ["PASS"] * 9
    assert late[1].n == 8


def test_metrics_that_all_slow_down_fail_together():
    suite = [Question((0.9,) * 16, 0.95)] * 10

    assert {d.verdict for d in decide_all(suite, LOOKS)} == {"FAIL"}


@pytest.mark.parametrize("looks", [(), (8, 8), (16, 8), (5, 10, 20)])
def test_unusable_looks_are_an_error(looks):
    with pytest.raises(ValueError, match="look"):
        decide([1.0] * 32, 0.95, looks)


# --- what the rule promises, by simulation -------------------------------------------------------


def simulate(change: float, trials: int, seed: int) -> dict[str, float]:
    """Frequency of verdicts; each arm's run has Laplace noise (heavy tails) of 4.2 % (CV)."""
    rng = random.Random(seed)

    def noise() -> float:
        return 0.03 * (rng.expovariate(1.0) - rng.expovariate(1.0))

    counts: dict[str, int] = {}
    for _ in range(trials):
        samples = [(1 + change) * math.exp(noise() - noise()) for _ in range(32)]
        verdict = decide(samples, 0.95, LOOKS).verdict
        counts[verdict] = counts.get(verdict, 0) + 1
    return {verdict: count / trials for verdict, count in counts.items()}


def test_a_true_10_percent_slowdown_is_never_passed():
    # 0 of 3000: the chance is below 0.1 % with 95 % confidence (rule of three).
    assert "PASS" not in simulate(-0.10, trials=3000, seed=1)


def test_no_change_is_hardly_ever_failed_and_mostly_passed():
    frequency = simulate(0.0, trials=1000, seed=2)

    assert frequency.get("FAIL", 0) <= 0.01
    assert frequency["PASS"] > 0.8


def test_at_the_bound_itself_a_wrong_pass_stays_within_alpha():
    # 5 % is the guarantee; the binomial's steps leave 2 %.
    assert simulate(-0.05, trials=2000, seed=3)["PASS"] < ALPHA


# --- ratios --------------------------------------------------------------------------------------


def test_ratios_above_one_are_better_in_both_directions():
    assert rule.paired_ratios([2.0], [1.0], "higher") == (2.0,)
    assert rule.paired_ratios([2.0], [1.0], "lower") == (0.5,)
    assert rule.efficiencies([50.0], [100.0], "higher") == (0.5,)
    assert rule.efficiencies([4.0], [1.0], "lower") == (0.25,)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_value_that_is_no_positive_number_has_no_ratio(bad: float):
    for arms in (([bad], [1.0]), ([1.0], [bad])):
        for direction in ("higher", "lower"):
            with pytest.raises(ValueError, match="not positive and finite"):
                rule.paired_ratios(*arms, direction)


def test_arms_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        rule.paired_ratios([1.0, 2.0], [1.0], "higher")


# --- autocorrelation -----------------------------------------------------------------------------


def test_autocorrelation_by_hand():
    assert rule.lag1([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.25)
    assert rule.lag1([1.0, -1.0] * 50) == pytest.approx(-0.99)
    assert rule.lag1([3.0] * 8) == 0.0
    assert rule.lag1([]) == 0.0


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), max_size=50))
def test_autocorrelation_is_a_correlation(samples):
    assert -1.0 <= rule.lag1(samples) <= 1.0


# --- how many pairs ------------------------------------------------------------------------------


def wanted(pairs: int, candidate, job: Record | None = None) -> int:
    job = job or a_job()
    return rule.pairs_wanted(job["cases"][1], timed_runs(job, pairs, candidate))


def noisy(pair: int) -> float:
    return 60.0 * (0.8 if pair % 2 else 1.2)


def test_a_correctness_case_wants_one_run():
    case = a_case("gradients.none-1.image", ranks=1, checks=["x"])

    assert rule.pairs_wanted(case, []) == 1


def test_first_the_first_look_is_wanted():
    assert wanted(0, noisy) == 8
    assert wanted(7, noisy) == 8


def test_a_decided_case_wants_no_more():
    assert wanted(8, lambda _: 60.0) == 8
    assert wanted(8, lambda _: 48.0) == 8


def test_an_undecided_case_wants_the_next_look():
    assert wanted(8, noisy) == 16
    assert wanted(11, noisy) == 16


def test_the_last_look_is_the_last():
    assert wanted(16, noisy) == 16


def test_half_a_pair_does_not_count_as_measured():
    job = a_job()
    runs = timed_runs(job, 8, lambda _: 60.0)[:-1]

    assert rule.pairs_wanted(job["cases"][1], runs) == 8


def test_both_questions_of_each_metric_must_be_decided():
    job = a_job()
    job["cases"][1]["metrics"] = [{**GEMM, "floor": 0.6}]

    # As fast as the baseline in each pair, but just at the floor of the roofline in half of them.
    assert wanted(8, lambda pair: 60.1 if pair % 2 else 59.9, job) == 16


def test_without_a_baseline_the_roofline_decides():
    job = a_job(released=False)

    assert wanted(8, lambda _: 48.0, job) == 8
    assert wanted(8, lambda pair: 39.0 if pair % 2 else 41.0, job) == 16


SPOILS = {
    "a crash": lambda run: run["exit"].update(code=1),
    "a time-out": lambda run: run["exit"].update(timed_out=True),
    "a false check": lambda run: run["ranks"][0].append({**ok(), "ok": False}),
    "no metric": lambda run: run["ranks"].clear(),
    "not a number": lambda run: run["ranks"][0][1].update(value="nan"),
    "a metric twice": lambda run: run["ranks"][0].append(gemm_lines(60.0)[0]),
    "a weak probe": lambda run: run["ranks"][0][2].update(value=1.0),
    "no number at all": lambda run: run["ranks"][0][1].update(value=None),
}


@pytest.mark.parametrize("what", SPOILS)
def test_a_spoiled_run_ends_its_case(what: str):
    job = a_job()
    runs = timed_runs(job, 3, noisy)
    SPOILS[what](next(run for run in runs if run["arm"] == "candidate"))

    assert rule.pairs_wanted(job["cases"][1], runs) == 3


def test_runs_may_come_in_any_order():
    job = a_job()
    runs = timed_runs(job, 8, lambda _: 60.0)

    assert rule.pairs_wanted(job["cases"][1], runs[::-1]) == 8
    assert {run["case"] for run in runs} == {PERFORMANCE}


# --- on a compute node ---------------------------------------------------------------------------


def test_the_rule_runs_without_stackwright_and_without_any_package(tmp_path: Path):
    alone = tmp_path / "rule.py"
    alone.write_bytes(Path(rule.__file__).read_bytes())

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(alone)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
