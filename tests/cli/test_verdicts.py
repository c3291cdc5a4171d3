from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stackwright.cli.context import Context
from stackwright.cli.verdicts import print_judgement


def shown(capsys: pytest.CaptureFixture[str], **case: object) -> str:
    """What is printed of a judgement with one case."""
    usual = {"id": "imports", "verdict": "PASS", "runs": 1, "seconds": 1.0}
    empty = {"reasons": (), "metrics": (), "checks": ()}
    judgement = SimpleNamespace(
        cases=[SimpleNamespace(**{**usual, **empty, **case})],
        reasons=(),
        kind="BASELINE",
        verdict="PASS",
        label="mini/1.0-cpu@bench",
    )
    print_judgement(Context(None, None, debug=False, color=False), cast("Any", judgement))
    return capsys.readouterr().out


@pytest.mark.parametrize(("checks", "said"), [(1, "1 check holds"), (2, "2 checks hold")])
def test_checks_are_counted_as_people_count(
    checks: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in shown(capsys, checks="x" * checks)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [("abc", "a; b; c\n"), ("abcde", "a; b; c; and 2 more\n")],
)
def test_reasons_that_are_not_shown_are_counted(
    reasons: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in shown(capsys, verdict="FAIL", reasons=tuple(reasons))
