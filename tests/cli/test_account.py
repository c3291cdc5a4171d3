from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any, NoReturn

import pytest

from stackwright.cli import main
from stackwright.errors import StackwrightError
from stackwright.tools.account import account

SITE = Path(__file__).parents[2]


def test_nobody_signs_the_history_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")

    assert account() == pwd.getpwuid(os.geteuid()).pw_name


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 987_654_321)

    assert account() == "987654321"


def test_a_rollback_is_the_account_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def refuse(*_: object, **options: object) -> NoReturn:
        asked.update(options)
        raise StackwrightError("enough")

    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setattr("stackwright.release.rollback.rollback", refuse)

    main(["--site", str(SITE), "--store", str(tmp_path / "store"), "rollback", "pytorch@local"])

    assert asked["who"] == account()


@pytest.mark.parametrize("typed", ["pytorch", "pytorch@local", "pytorch/2.13.0-cpu@local"])
def test_a_rollback_of_a_label_is_one_of_its_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    asked: list[object] = []

    def refuse(*what: object, **_: object) -> NoReturn:
        asked.extend(what[1:])
        raise StackwrightError("enough")

    monkeypatch.setattr("stackwright.release.rollback.rollback", refuse)

    main(["--site", str(SITE), "--store", str(tmp_path / "store"), "rollback", typed])

    assert asked == ["pytorch", "local"]
