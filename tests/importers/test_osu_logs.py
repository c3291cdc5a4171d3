from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_samples import fixture, judged

from stackwright.importers.csvtable import Columns
from stackwright.importers.formats import read

BEFORE, AFTER = fixture("osu-before.txt"), fixture("osu-after.txt")
FULL = """
# OSU MPI-CUDA Allreduce Latency Test v7.0
# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations
4                       8.58              8.10              9.42         100
16777216             8630.58           8619.50           8642.46         10
"""


def test_latency_and_bandwidth_are_each_better_their_own_way() -> None:
    found = read(BEFORE, Columns())

    assert found.problems == ()
    directions = {(m.metric, m.unit, m.direction) for m in found.measurements}
    assert directions == {("latency", "us", "lower"), ("bandwidth", "MB/s", "higher")}


def test_a_loss_of_bandwidth_fails_where_it_is() -> None:
    comparison = judged(BEFORE, AFTER)

    assert comparison.verdict == "FAIL"
    failed = [(one.metric, one.size) for one in comparison.compared if one.verdict == "FAIL"]
    assert failed == [("bandwidth", 2**18), ("bandwidth", 2**21)]


def test_the_average_is_judged_and_the_version_tells_no_tests_apart() -> None:
    slower = FULL.replace("v7.0", "v7.5").replace("8630.58", "18630.58")

    comparison = judged(FULL, slower)

    assert [one.verdict for one in comparison.compared] == ["INCONCLUSIVE", "FAIL"]
    assert comparison.compared[0].name == "MPI-CUDA Allreduce Latency Test"


def test_a_barrier_has_no_size() -> None:
    barrier = "# OSU MPI Barrier Latency Test v7.5\n# Avg Latency(us)\n              4.91\n"

    (found,) = read(barrier, Columns()).measurements

    assert (found.value, found.size) == (4.91, None)


@given(cut=st.integers(0, len(AFTER) - 1))
def test_a_cut_log_is_never_better_than_invalid(cut: int) -> None:
    assert judged(BEFORE, AFTER[:cut]).verdict == "INVALID"
    assert judged(AFTER[:cut], BEFORE).verdict == "INVALID"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("4786.31", "nan", "not a whole row"),
        ("4786.31", "", "not a whole row"),
        ("4786.31", "0.00", "not a whole row"),
        ("Bandwidth (MB/s)", "Message Rate (1/s)", "no latency or bandwidth column"),
        ("262144", "32768", "at 32768 B is there 2 times"),
    ],
)
def test_what_is_wrong_in_a_log_makes_it_invalid(old: str, new: str, said: str) -> None:
    broken = AFTER.replace(old, new)
    assert broken != AFTER

    comparison = judged(BEFORE, broken)

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


def test_wrong_data_make_it_invalid() -> None:
    checked = (
        "# OSU MPI Allreduce Latency Test v7.5\n# Size       Avg Latency(us)        Validation\n"
        "4                       8.58              Pass\n8                       8.60     Pass\n"
    )

    assert judged(checked, checked.replace("8.60", "8.61")).verdict == "INCONCLUSIVE"
    assert judged(checked, checked.replace("8.60     Pass", "8.60     Fail")).verdict == "INVALID"


def test_a_reader_is_told_that_these_tables_have_no_end() -> None:
    assert "no closing line" in judged(BEFORE, AFTER).notes[0]
