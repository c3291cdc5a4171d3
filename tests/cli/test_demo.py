"""The commands that the demo prints can be pasted."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "setup" / "demo.py"


def test_a_printed_command_keeps_its_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    demo = runpy.run_path(str(DEMO), run_name="demo")

    assert demo["run"]("sh", "-c", "exit 3; echo 'never'", may_fail=True) == 3

    assert capsys.readouterr().out == """$ sh -c 'exit 3; echo '"'"'never'"'"''\n"""


@pytest.mark.parametrize(("code", "reported"), [(1, True), (3, True), (2, False)])
def test_a_validation_that_does_not_pass_leaves_its_report(
    code: int,
    reported: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program, log, store = tmp_path / "stackwright", tmp_path / "log", tmp_path / "a store"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\ncase $1 in verify) exit 1;; validate) exit {code};; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("STACKWRIGHT_STORE", str(store))
    demo = runpy.run_path(str(DEMO), run_name="demo")
    monkeypatch.setitem(demo["certify"].__globals__, "STACKWRIGHT", str(program))

    with pytest.raises(SystemExit) as ended:
        demo["certify"]("mini/1.0-cpu@local")

    assert ended.value.code == code
    assert ("report mini/1.0-cpu@local" in log.read_text()) is reported
    again = f"to write it again: {program} --store '{store}' report mini/1.0-cpu@local\n"
    assert (again in capsys.readouterr().out) is reported
