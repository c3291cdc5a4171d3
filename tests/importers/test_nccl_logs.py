from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_samples import fixture, judged, table, verdicts

from stackwright.importers.csvtable import Columns
from stackwright.importers.formats import read
from stackwright.importers.nccltests import sizes_between

BEFORE, AFTER = fixture("nccl-before.log"), fixture("nccl-after.log")
JSON = fixture("nccl-after.json")
KIB, MIB = 2**10, 2**20


def test_a_log_says_what_was_measured_on_what() -> None:
    found = table("nccl-before.log")

    assert found.problems == ()
    assert len(found.measurements) == 16  # 8 sizes, each out-of-place and in-place
    last = found.measurements[-2]
    assert (last.name, last.size, last.timing) == (
        "all_reduce_perf float sum",
        16 * MIB,
        "out-of-place",
    )
    assert (last.value, last.unit, last.direction) == (427.85, "us", "lower")
    assert last.shown == "68.62 GB/s"
    assert found.setup == {"ranks": "8", "nodes": "2", "devices": "Example GPU 40GB"}


def test_a_loss_fails_at_the_sizes_that_have_it() -> None:
    comparison = judged(BEFORE, AFTER)

    assert comparison.verdict == "FAIL"
    assert {size for size, v in verdicts(comparison).items() if v == "FAIL"} == {
        MIB,
        4 * MIB,
        16 * MIB,
    }


def test_the_same_software_is_inconclusive_never_pass() -> None:
    comparison = judged(BEFORE, fixture("nccl-same.log"))

    assert comparison.verdict == "INCONCLUSIVE"
    assert set(verdicts(comparison).values()) == {"INCONCLUSIVE"}


def test_the_json_of_a_run_says_the_same_as_its_log() -> None:
    log, document = table("nccl-after.log"), table("nccl-after.json")

    assert document.problems == ()
    assert document.setup == log.setup
    for one, other in zip(log.measurements, document.measurements, strict=True):
        assert (one.name, one.size, one.timing) == (other.name, other.size, other.timing)
        assert other.value == pytest.approx(one.value, abs=0.006)
    assert judged(BEFORE, JSON).verdict == "FAIL"


def test_one_slow_timing_of_two_is_no_loss() -> None:
    slow = BEFORE.replace(
        "   20.22    0.05    0.09       0\n", "  220.22    0.05    0.09       0\n"
    )
    assert slow != BEFORE

    assert judged(BEFORE, slow).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("text", [BEFORE, AFTER, fixture("nccl-same.log")])
@given(data=st.data())
def test_a_cut_log_is_never_better_than_invalid(text: str, data: st.DataObject) -> None:
    closed = text.index("# Avg bus bandwidth    : ") + len("# Avg bus bandwidth    : ") + 3
    cut = data.draw(st.integers(0, closed))

    assert judged(BEFORE, text[:cut]).verdict == "INVALID"
    assert judged(text[:cut], AFTER).verdict == "INVALID"


@given(cut=st.integers(0, len(JSON.rstrip()) - 1))
def test_cut_json_is_never_better_than_invalid(cut: int) -> None:
    assert judged(BEFORE, JSON[:cut]).verdict == "INVALID"


@given(
    line=st.integers(0, len(AFTER.splitlines()) - 1),
    other=st.integers(0, 10**6),
    length=st.integers(1, 90),
)
def test_a_log_without_some_of_its_bytes_never_gets_a_better_verdict(
    line: int, other: int, length: int
) -> None:
    lines = AFTER.splitlines(keepends=True)
    start = other % max(1, len(lines[line]))
    lines[line] = lines[line][:start] + lines[line][start + length :]

    assert judged(BEFORE, "".join(lines)).verdict in {"FAIL", "INVALID"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("29.83       0\n", "29.83       3\n", "3 wrong elements"),
        ("29.83       0\n", "29.83     nan\n", "nan wrong elements"),
        (" 1003.89 ", "     nan ", "the time is no positive number"),
        (" 1003.89 ", "    0.00 ", "the time is no positive number"),
        (" 1003.89 ", "         ", "a row has 12 of 13 columns"),
        ("Out of bounds values : 0 OK", "Out of bounds values : 2 FAILED", "out of bounds"),
        ("bandwidth    : 12.5769", "bandwidth    : 22.5769", "rows are missing"),
        ("maxBytes 16777216", "maxBytes 67108864", "8 of the 9 sizes"),
        ("    16777216 ", "     4194304 ", "at 4194304 B is there 2 times"),
        ("algbw   busbw #wrong  ", "algbw   busbw  error  ", "its columns are not"),
    ],
)
def test_what_is_wrong_in_a_log_makes_it_invalid(old: str, new: str, said: str) -> None:
    broken = AFTER.replace(old, new)
    assert broken != AFTER

    comparison = judged(BEFORE, broken)

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 3}, "its layout is version 3"),
        ({"results": []}, "it has no results"),
        ({"errors": ["unhandled system error"]}, "NCCL reported: unhandled system error"),
        ({"out_of_bounds": {"count": 4}}, "out of bounds"),
        ({"average_bus_bandwidth": {"bandwidth": "nan"}}, "rows are missing"),
        ({"config": None}, "not laid out as nccl-tests' JSON"),
    ],
)
def test_what_is_wrong_in_json_makes_it_invalid(change: dict[str, Any], said: str) -> None:
    comparison = judged(BEFORE, json.dumps(json.loads(JSON) | change))

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


def test_json_with_fewer_sizes_than_asked_for_is_of_a_test_that_died() -> None:
    longer = JSON.replace('"maximum_bytes":16777216', '"maximum_bytes":67108864')

    assert "8 of the 9 sizes" in judged(BEFORE, longer).reasons[0]


def test_json_without_its_summary_is_of_a_test_that_died() -> None:
    document = json.loads(JSON)
    del document["average_bus_bandwidth"]

    assert "its summary is missing" in judged(BEFORE, json.dumps(document)).reasons[0]


def test_unverified_sums_are_noted() -> None:
    unverified = AFTER.replace("       0\n", "     N/A\n").replace("       0  ", "     N/A  ")

    assert "nobody checked that the results are right" in judged(BEFORE, unverified).notes[0]


def test_rank_labels_and_timestamps_are_no_columns() -> None:
    stamped = AFTER.replace(" #wrong \n", " #wrong \n").replace(
        "#wrong     time   algbw   busbw #wrong",
        "#wrong     time   algbw   busbw #wrong           timestamp",
    )
    stamped = stamped.replace("       0\n", "       0  2026-01-02 03:04:05\n")
    labelled = "".join(f" 0: {line}\n" for line in stamped.splitlines())

    assert read(labelled, Columns()).measurements == table("nccl-after.log").measurements


def test_each_table_of_a_log_must_be_whole() -> None:
    both = BEFORE + BEFORE.replace("all_reduce_perf", "all_gather_perf")

    assert len(read(both, Columns()).measurements) == 32
    assert judged(both, both + " ").verdict == "INCONCLUSIVE"
    assert judged(both, both[:-400]).verdict == "INVALID"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("#  Rank  7 Group  0", "#  Nobody 7 Group  0", "not the same ranks: 8"),
        ("node1", "node0", "not the same nodes: 2"),
        ("Example GPU", "Another GPU", "not the same devices: Example GPU 40GB"),
        ("all_reduce_perf", "all_gather_perf", "lacks all_gather_perf float sum time"),
        ("  float ", "  bfloat ", "lacks all_reduce_perf bfloat sum time"),
    ],
)
def test_unlike_runs_are_not_compared(old: str, new: str, said: str) -> None:
    comparison = judged(BEFORE, AFTER.replace(old, new))

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


@pytest.mark.parametrize(
    ("announced", "sizes"),
    [
        ((8, 64, 2, True), 4),
        ((8, 63, 2, True), 3),
        ((100, 450, 100, False), 4),
        ((0, 64, 2, True), 0),
        ((8, 64, 1, True), 0),
        ((8, 64, 0, False), 0),
        ((64, 8, 2, True), 0),
    ],
)
def test_the_sizes_that_are_announced_are_counted(
    announced: tuple[int, int, int, bool], sizes: int
) -> None:
    assert sizes_between(*announced) == sizes


def test_less_memory_means_fewer_sizes() -> None:
    reduced = AFTER.replace("maxBytes 16777216", "maxBytes 999999999999").replace(
        "# Using devices",
        "# Reducing maxBytes to 16777216 due to memory limitation\n# Using devices",
    )

    assert read(reduced, Columns()).problems == ()
