"""Stages that take long: a terminal shows how far they are, other output how long they took."""

from __future__ import annotations

import re

import pytest

from stackwright.cli.progress import Progress


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
