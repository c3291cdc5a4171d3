"""Which run time the evidence is about, and which one users are told of."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from stackwright.cli.release import podman_reads, untried
from stackwright.cli.validate import RUNTIMES
from stackwright.inputs.systems import Runtime


@pytest.mark.parametrize(
    ("engine", "validated"), [("podman", "podman"), ("podman", None), ("", "charliecloud")]
)
def test_nothing_is_said_where_the_lines_are_for_what_was_validated(
    engine: str, validated: str | None
) -> None:
    assert untried(engine, validated) == ""


def test_lines_for_another_run_time_come_with_a_warning() -> None:
    assert "validated under charliecloud, not under podman" in untried("podman", "charliecloud")


@pytest.mark.parametrize(
    ("store", "reads"),
    [
        ("/scratch/sw_1/store-2", True),
        ("/home/someone/.stackwright", False),
        ("/scratch/Stacks", False),
        ("/scratch/a..b", False),
    ],
)
def test_podman_takes_the_path_of_a_layout_for_a_name(store: str, reads: bool) -> None:
    assert podman_reads(Path(store, "live/images/pytorch/2.13.0-cpu")) is reads


def test_every_run_time_that_a_system_may_have_can_be_asked_for() -> None:
    assert set(RUNTIMES) == set(get_args(Runtime))
