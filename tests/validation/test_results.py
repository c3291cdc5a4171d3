"""Reading job.json and results.jsonl: every defect is named, nothing is dropped silently."""

from __future__ import annotations

import json

import pytest
from gate_evidence import GEMM, Record, a_case, a_job, chain, digest, encode, sound_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from stackwright.errors import ExitCode, StackwrightError
from stackwright.validation import results
from stackwright.validation.gate import judge
from stackwright.validation.results import Results, load_job, load_results

# --- job.json ------------------------------------------------------------------------------------


def test_a_valid_job_is_read():
    job = load_job(encode(a_job()))

    assert job.arms_of(job.cases[0]) == ("candidate",)
    assert job.arms_of(job.cases[1]) == ("candidate", "baseline")


def without_metrics(job: Record) -> None:
    job["cases"][1]["metrics"] = []


def empty_case(job: Record) -> None:
    job["cases"][0]["checks"] = []


BAD_JOBS = {
    "an unknown key": (lambda j: j.update(sead=1), "sead: Extra inputs are not permitted"),
    "a missing key": (lambda j: j.pop("nonce"), "nonce: Field required"),
    "a wrong type": (lambda j: j.update(seed="7"), "seed: Input should be a valid integer"),
    "another schema": (lambda j: j.update(schema="stackwright/job/2"), "stackwright/job/1"),
    "a case twice": (lambda j: j["cases"].append(j["cases"][0]), "appears twice"),
    "a check twice": (
        lambda j: j["cases"][0].update(checks=["a", "a"]),
        "cases.0: check 'a' appears twice",
    ),
    "a metric twice": (
        lambda j: j["cases"][1].update(metrics=[GEMM, GEMM]),
        "cases.1: metric 'gemm_fp32' appears twice",
    ),
    "looks without metrics": (without_metrics, "both looks and metrics, or neither"),
    "a case that asks nothing": (empty_case, "would pass whatever happens"),
    "looks that shrink": (lambda j: j["cases"][1].update(looks=[16, 8]), "looks must increase"),
    "looks too small": (lambda j: j["cases"][1].update(looks=[3, 8]), "too small to decide"),
    "half a roofline": (
        lambda j: j["cases"][1].update(metrics=[{**GEMM, "floor": None}]),
        "given together or all null",
    ),
    "an id that leaves its folder": (lambda j: j["cases"][0].update(id="../x"), "cases.0.id"),
    "a baseline to run that is not there": (
        lambda j: j["arms"].update(baseline=None),
        "argv must have just the arms candidate",
    ),
    "a delta of nothing": (
        lambda j: j["cases"][1].update(metrics=[{**GEMM, "delta": 0.0}]),
        "delta: Input should be greater than 0",
    ),
}


@pytest.mark.parametrize("what", BAD_JOBS)
def test_a_bad_job_is_an_error_that_names_the_key(what: str):
    breaks, message = BAD_JOBS[what]
    job = a_job()
    breaks(job)

    with pytest.raises(StackwrightError) as error:
        load_job(encode(job))

    assert message in str(error.value)
    assert str(error.value).startswith("job.json: ")
    assert error.value.code == ExitCode.INVALID


def test_all_problems_of_a_job_are_reported_at_once():
    job = a_job()
    job["cases"][0]["ranks"] = 0
    del job["label"]

    with pytest.raises(StackwrightError) as error:
        load_job(encode(job))

    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "label",
        "cases.0.ranks",
    ]


# --- results.jsonl -------------------------------------------------------------------------------


def read(data: bytes, job: Record | None = None) -> Results:
    job_data = encode(job or a_job())
    return load_results(data, load_job(job_data), job_data)


def sound() -> bytes:
    return chain(encode(a_job()), sound_runs(a_job()))


def broken_line(number: int, old: bytes, new: bytes) -> bytes:
    """Change one line and mend the chain behind it, so that the change alone is at fault."""
    lines = sound().split(b"\n")
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    assert lines[number - 1] != sound().split(b"\n")[number - 1]
    for i in range(number, len(lines) - 1):
        lines[i] = json.dumps({**json.loads(lines[i]), "prev": digest(lines[i - 1])}).encode()
    return b"\n".join(lines)


def test_sound_results_have_no_defect():
    got = read(sound())

    assert got.defects == ()
    assert len(got.runs) == 17


BAD_LINES = {
    "a repeated key": (b'"pair": 0', b'"pair": 0, "pair": 0', "key 'pair' appears twice"),
    "a NaN literal": (b'"seconds": 1.5', b'"seconds": NaN', "NaN is not JSON"),
    "an infinite literal": (b'"seconds": 1.5', b'"seconds": -Infinity', "-Infinity is not JSON"),
    "a number beyond the doubles": (b'"seconds": 1.5', b'"seconds": 1e999', "1e999 is too large"),
    "an endless integer": (b'"pair": 0', b'"pair": ' + b"9" * 5000, "integer"),
    "an unknown key": (b'"pair": 0', b'"pair": 0, "note": ""', "note: Extra inputs"),
    "a missing key": (b'"pair": 0, ', b"", "pair: Field required"),
    "a wrong type": (b'"pair": 0', b'"pair": true', "pair: Input should be a valid integer"),
    "an unknown event": (b'"t": "end"', b'"t": "fin"', "'fin' found using 't'"),
    "an unknown arm": (b'"candidate"', b'"kandidate"', "arm: Input should be 'candidate' or"),
    "another schema": (b"run/1", b"run/2", "schema: Input should be 'stackwright/run/1'"),
    "broken UTF-8": (b"nid0001", b"nid\xff", "is not UTF-8"),
    "not JSON": (b'"pair": 0', b'"pair" 0', "is not JSON: Expecting ':' delimiter (column"),
    "deep nesting": (b'"pair": 0', b'"pair": ' + b"[" * 200_000, "nested too deeply"),
    "empty problems": (b'"logs"', b'"problems": [], "logs"', "problems: Tuple should have"),
    "another job": (b'"job_id": "2026', b'"job_id": "2025', "is a run of another job, '2025"),
    "an earlier nonce": (b'"nonce": "0', b'"nonce": "1', "has another nonce: it is left over"),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_bad_line_is_a_defect_with_its_number(what: str):
    old, new, message = BAD_LINES[what]

    defects = read(broken_line(3, old, new)).defects

    assert len(defects) == 1
    assert defects[0].startswith("results.jsonl:3: ")
    assert message in defects[0]


def test_a_line_that_is_too_long_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "MAX_LINE", 10_000)

    got = read(broken_line(3, b'"pair": 0', b'"pair": 0' + b" " * 10_000))

    assert "at most 10000 are read" in got.defects[0]


def test_a_truncated_last_line_is_a_defect():
    assert read(sound()[:-1]).defects == ("results.jsonl:17: the last line is cut off",)


def test_an_empty_line_is_a_defect():
    assert "results.jsonl:18: is not JSON" in read(sound() + b"\n").defects[0]


CHANGES_OF_THE_FILE = {
    "a value edited": lambda ls: [*ls[:4], ls[4].replace(b"60.", b"70."), *ls[5:]],
    "a line cut": lambda ls: ls[:4] + ls[5:],
    "the first line cut": lambda ls: ls[1:],
    "a line inserted": lambda ls: [*ls[:4], ls[3], *ls[4:]],
    "two lines swapped": lambda ls: [*ls[:4], ls[5], ls[4], *ls[6:]],
}


@pytest.mark.parametrize("what", CHANGES_OF_THE_FILE)
def test_a_change_of_the_file_breaks_the_chain(what: str):
    lines = CHANGES_OF_THE_FILE[what](sound().splitlines(keepends=True))

    defects = read(b"".join(lines)).defects

    assert defects
    assert all("'prev' is not the hash of what stands before" in d for d in defects)


def test_results_of_another_job_file_break_the_chain():
    other = a_job()
    other["cases"].append(a_case("more.none-1.image", ranks=1, checks=["x"]))

    assert "results.jsonl:1: 'prev'" in read(sound(), other).defects[0]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_gate_pass_or_crash(noise: bytes):
    assert judge(encode(a_job()), noise).verdict == "INVALID"


LAST_LINE = sound().rindex(b"\n", 0, -1) + 1


@settings(deadline=None)
@given(st.integers(0, LAST_LINE - 1), st.integers(1, 255))
def test_no_changed_byte_before_the_last_line_goes_unseen(place: int, flip: int):
    data = bytearray(sound())
    data[place] ^= flip

    assert judge(encode(a_job()), bytes(data)).verdict == "INVALID"
