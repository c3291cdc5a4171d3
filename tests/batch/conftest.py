"""A Slurm and a stack for tests that may do to them what they want."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_samples import Slurm, Stack, make_stack, two_nodes


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    yield from two_nodes(tmp_path / "slurm")


@pytest.fixture
def stack(slurm: Slurm, tmp_path: Path) -> Stack:
    return make_stack(tmp_path, slurm)
