from __future__ import annotations

import math
import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_samples import judged

from stackwright.importers.csvtable import Columns
from stackwright.validation.comparison import FAR, Terms
from stackwright.validation.unpaired import (
    EXACT,
    Samples,
    evidence,
    largest_spread,
    pooled_spread,
    rank_sum_p_value,
)

positive = st.floats(0.01, 1e6)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (2, 5), (4, 4)])
def test_ranks_are_counted_out(n: int, m: int) -> None:
    """Against every way to deal n + m runs to the two arms."""
    candidate = [3.0, 1.0, 7.5, 2.5][:n]
    baseline = [2.0, 4.0, 6.0, 8.0, 5.0][:m]
    runs = candidate + baseline
    wins = sum(c >= b for c in candidate for b in baseline)
    deals = list(combinations(range(n + m), n))
    as_few = sum(
        sum(runs[i] >= runs[j] for i in deal for j in range(n + m) if j not in deal) <= wins
        for deal in deals
    )

    assert rank_sum_p_value(candidate, baseline) == pytest.approx(as_few / len(deals))


def test_the_normal_distribution_takes_over_smoothly() -> None:
    rng = random.Random(1)
    n = math.isqrt(EXACT)
    candidate = [rng.gauss(0, 1) for _ in range(n)]
    baseline = [rng.gauss(0.5, 1) for _ in range(n)]
    exact = rank_sum_p_value(candidate, baseline)

    near = rank_sum_p_value([*candidate, sum(candidate) / n], baseline)

    assert near == pytest.approx(exact, rel=0.3)


def test_ties_speak_for_the_candidate() -> None:
    assert rank_sum_p_value([1.0] * 8, [1.0] * 8) == 1


@given(
    before=st.lists(positive, min_size=1, max_size=4, unique=True),
    after=st.lists(positive, min_size=1, max_size=4, unique=True),
    spread=st.floats(0, 0.5),
)
def test_unpaired_runs_never_pass(before: list[float], after: list[float], spread: float) -> None:
    def text(values: list[float]) -> str:
        return "run,rate\n" + "".join(f"{i},{value!r}\n" for i, value in enumerate(values))

    columns = Columns(metrics={"rate": "higher"}, ignored=frozenset({"run"}))

    comparison = judged(text(before), text(after), Terms(spread=spread), columns)

    assert comparison.verdict in {"FAIL", "INCONCLUSIVE", "INVALID"}
    gain = math.prod(after) ** (1 / len(after)) / math.prod(before) ** (1 / len(before))
    if gain >= 1 and not math.isclose(gain, FAR):
        assert comparison.verdict == ("INCONCLUSIVE" if gain < FAR else "INVALID")


@pytest.mark.parametrize("runs", [1, 3, 10])
def test_a_loss_at_the_bound_seldom_fails(runs: int) -> None:
    """At a true loss of just delta, at most 5 % of p-values may be 5 % or less."""
    rng = random.Random(7)
    spread, delta, tries = 0.1, 0.05, 4000

    def arm(level: float) -> tuple[float, ...]:
        return tuple(level * math.exp(rng.gauss(0, spread)) for _ in range(runs))

    wrong = sum(
        evidence(Samples(arm(1 - delta), arm(1.0)), delta=delta, spread=spread, level=0.05).p
        <= 0.05
        for _ in range(tries)
    )

    assert wrong / tries <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tries)


def test_a_spread_that_is_seen_counts_if_it_is_larger_than_the_one_assumed() -> None:
    restless = Samples(candidate=(0.7, 1.1), baseline=(0.9, 1.4))

    found = evidence(restless, delta=0.05, spread=0.01, level=1e-6)

    assert found.spread == pooled_spread(restless) > 0.25


def test_a_loss_stands_up_to_the_spread_that_is_named() -> None:
    samples = Samples(candidate=(0.5,), baseline=(1.0,))
    limit = largest_spread(samples, delta=0.05, level=0.01)

    for spread, stands in ((0.99 * limit, True), (1.01 * limit, False)):
        assert (evidence(samples, delta=0.05, spread=spread, level=0.01).p <= 0.01) is stands


def test_no_loss_stands_at_no_spread() -> None:
    assert largest_spread(Samples((1.0,), (1.0,)), delta=0.05, level=0.05) == 0
