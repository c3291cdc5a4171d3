"""Which run time the evidence is about, and which one users are told of."""

from __future__ import annotations

import pytest

from stackwright.cli.release import untried


@pytest.mark.parametrize(
    ("engine", "validated"), [("podman", "podman"), ("podman", None), ("", "charliecloud")]
)
def test_nothing_is_said_where_the_lines_are_for_what_was_validated(
    engine: str, validated: str | None
) -> None:
    assert untried(engine, validated) == ""


def test_lines_for_another_run_time_come_with_a_warning() -> None:
    assert "validated under charliecloud, not under podman" in untried("podman", "charliecloud")
