from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stackwright.cli.context import Context
from stackwright.cli.verdicts import print_judgement


@pytest.mark.parametrize(("checks", "said"), [(1, "1 check holds"), (2, "2 checks hold")])
def test_checks_are_counted_as_people_count(
    checks: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = SimpleNamespace(
        id="imports",
        verdict="PASS",
        runs=1,
        seconds=1.0,
        reasons=(),
        metrics=(),
        checks="x" * checks,
    )
    judgement = SimpleNamespace(
        cases=[case], reasons=(), kind="BASELINE", verdict="PASS", label="mini/1.0-cpu@bench"
    )

    print_judgement(Context(None, None, debug=False, color=False), cast("Any", judgement))

    assert said in capsys.readouterr().out
