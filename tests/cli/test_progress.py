"""Stages that take long: a terminal shows how far they are, other output how long they took."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stackwright.cli.progress import Progress
from stackwright.cli.validate import Runs


def test_elsewhere_a_stage_is_one_line_when_it_begins_and_one_when_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress(color=False) as progress, progress.stage("hashing") as on_part:
        on_part("image", 1_000, 3_000)

    shown = capsys.readouterr()
    assert re.fullmatch(r"hashing \.\.\.\nhashing: \d\.\d s\n", shown.err)
    assert shown.out == ""


def test_a_stage_that_fails_says_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), Progress(color=False) as progress, progress.stage("hashing"):
        raise KeyError

    assert capsys.readouterr().err == "hashing ...\n"


def test_a_terminal_shows_how_far_each_part_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress(color=True) as progress, progress.stage("hashing") as on_part:
        on_part("image", 1_000_000, 3_000_000)
        on_part("squashfs", 2_000, 2_000)
        on_part("image", 2_000_000, 3_000_000)
        progress._live.refresh()

    shown = capsys.readouterr().err
    assert re.search(r"hashing  \d\.\d s  .*image 2 MB of 3 MB, squashfs 2 kB of 2 kB", shown)
    assert "hashing:" not in shown


def test_elsewhere_a_part_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(color=False) as progress, progress.stage("compiling"):
        progress.part("1/2 fftw-3.3.10: compiled")

    begun, part, ended = capsys.readouterr().err.splitlines()
    assert (begun, part) == ("compiling ...", "  1/2 fftw-3.3.10: compiled")
    assert ended.startswith("compiling: ")


def test_on_a_terminal_a_part_stays_above_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress(color=True) as progress, progress.stage("compiling"):
        progress.part("1/2 fftw-3.3.10: compiled")
        progress._live.refresh()

    shown = capsys.readouterr().err
    assert re.search(r"  1/2 fftw-3\.3\.10: compiled\n.*compiling  \d\.\d s", shown, re.DOTALL)


def event(pair: int, done: int, *, case: str = "compute.none-1.image") -> dict[str, Any]:
    looks = [8, 16, 32, 64] if case.startswith("compute") else []
    where = {"case": case, "arm": "candidate", "pair": pair, "looks": looks}
    return {"event": "begin", **where, "done": done, "most": 130}


def test_the_runs_of_a_validation_are_counted_with_the_most_and_with_their_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = Runs(live=False)
    runs.show(event(0, 0, case="identity.none-1.image"))
    runs.show(event(7, 17))
    runs.show(event(8, 18))
    runs.show(event(8, 19))
    runs.show(event(8, 19) | {"event": "run", "done": 20})
    runs.end()

    assert [re.sub(r" +0 s ", " 0 s ", line) for line in capsys.readouterr().err.splitlines()] == [
        "[0 runs, at most 130] 0 s  identity.none-1.image candidate #0",
        "[17 runs, at most 130] 0 s  compute.none-1.image candidate #7, look 1 of 4",
        "compute.none-1.image: undecided after 8 pairs, going on to 16",
        "[18 runs, at most 130] 0 s  compute.none-1.image candidate #8, look 2 of 4",
        "[19 runs, at most 130] 0 s  compute.none-1.image candidate #8, look 2 of 4",
    ]


def test_on_a_terminal_only_an_undecided_look_leaves_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = Runs(live=True)
    runs.show(event(7, 17))
    runs.show(event(8, 18))
    runs.end()

    (left, cleared) = capsys.readouterr().err.split("\n")
    assert left.endswith("\rcompute.none-1.image: undecided after 8 pairs, going on to 16")
    assert cleared.endswith("look 2 of 4\r")
