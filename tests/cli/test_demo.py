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
