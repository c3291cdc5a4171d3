"""The kill table is kept while it grows, is gone on with, and is put on its page."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fault import Outcome, load_catalogue, make_row
from kills import PAGE, REPOSITORY, Kill, Kills, code_of, codes, last_of_each, replaced, section

FIRST, SECOND, *_ = load_catalogue().start_up
CODE = {FIRST.name: "today's", SECOND.name: "today's"}


def kill(fault: str = FIRST.name, ended: str = "2026-11-29T16:45:00+00:00", **change: str) -> Kill:
    entry = next(f for f in (FIRST, SECOND) if f.name == fault)
    caught = Outcome("FAIL", frozenset(entry.checks), "")
    row = make_row(entry, "start-up", "PASS", caught, 6.5)
    return replace(Kill(row, "today's", ended, 0.4), **change)


def survived(**change: str) -> Kill:
    row = make_row(FIRST, "start-up", "PASS", Outcome("PASS", frozenset(), ""), 6.5)
    return replace(kill(**change), row=row)


def test_rows_are_in_the_file_as_soon_as_they_are_known(tmp_path: Path) -> None:
    kills = Kills.load(tmp_path / "kills.json")
    kills.add(kill())
    kills.add(kill(SECOND.name))

    assert Kills.load(tmp_path / "kills.json").rows == [kill(), kill(SECOND.name)]
    assert [path.name for path in tmp_path.iterdir()] == ["kills.json"]
    (entry, _) = json.loads((tmp_path / "kills.json").read_bytes())
    assert (entry["fault"], entry["killed"], entry["load"]) == (FIRST.name, True, 0.4)


def test_what_has_a_row_of_todays_code_is_not_injected_again_even_if_it_survived() -> None:
    kills = Kills(rows=[survived(), kill(SECOND.name, code="yesterday's")])

    assert kills.go_on(CODE) == {FIRST.name}
    assert kills.counting == [survived()]


@pytest.mark.parametrize(
    ("found", "code", "told"),
    [
        pytest.param("caught", 0, "{all} of {all} faults caught", marks=pytest.mark.long),
        ("survived", 1, f"SURVIVED {FIRST.name}: the verdict is PASS, not FAIL"),
    ],
)
def test_a_table_that_is_whole_is_told_and_nothing_is_injected(
    found: str, code: int, told: str, tmp_path: Path
) -> None:
    kills = Kills(tmp_path / "kills.json")
    for way, faults in load_catalogue().ways().items():
        for fault in faults:
            verdict = fault.verdicts[0] if fault.case else "REFUSED"
            if found == "survived" and fault == FIRST:
                verdict = "PASS"
            outcome = Outcome(verdict, frozenset(fault.checks), fault.reason)
            kills.add(Kill.of(make_row(fault, way, "PASS", outcome, 1.0), codes()[fault.name]))

    options = ("-q", "-p", "no:cacheprovider", "--kill-table", f"--kill-json={kills.file}")
    argv = [sys.executable, "-m", "pytest", "tests/mutants", *options]
    done = subprocess.run(argv, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, text=True)

    assert done.returncode == code, done.stdout
    assert told.format(all=len(kills.rows)) in done.stdout
    assert "passed" not in done.stdout


def test_a_row_depends_on_its_entry_and_on_its_injector() -> None:
    assert code_of(FIRST, "start-up") == codes()[FIRST.name]
    assert code_of(FIRST, "start-up") != code_of(FIRST, "attack")
    assert code_of(FIRST.model_copy(update={"what": "else"}), "start-up") != codes()[FIRST.name]
    assert len(set(codes().values())) == len(codes()) == len(list(load_catalogue()))


def test_of_several_rows_the_last_one_is_shown() -> None:
    later = survived(ended="2026-11-29T17:00:00+00:00")

    assert last_of_each([later, kill(), kill(SECOND.name)], [SECOND.name, FIRST.name]) == [
        kill(SECOND.name),
        later,
    ]


def test_the_page_says_what_its_table_does_not_show() -> None:
    again = kill(ended="2026-11-30T17:00:00+00:00", code="yesterday's", load=7.5)  # type: ignore[arg-type]

    text = section([survived(), again], {**CODE, "later_fault": "today's"})

    assert text.startswith("On 2026-11-30, with 7.5 to 7.5 processes running or waiting.")
    assert "rank_left_out_of_allreduce  start-up" in text
    assert "1 of 1 faults caught\n```" in text
    assert f"No row yet: all but {FIRST.name}." in text
    assert f"Found on earlier code: {FIRST.name}." in text
    assert f"Injected more than once, the last one is shown: {FIRST.name}." in text


def test_a_fault_that_survived_is_counted_as_such() -> None:
    text = section([survived(), kill(SECOND.name)], CODE)

    assert "PASS: SURVIVED" in text
    assert "1 of 2 faults caught" in text
    assert "No row yet" not in text


def test_the_page_has_its_place_for_the_table() -> None:
    page = PAGE.read_text()

    assert replaced(replaced(page, "one\n"), "two\n") == replaced(page, "two\n")
    with pytest.raises(ValueError, match="begin kill_table"):
        replaced("no markers", "text")
