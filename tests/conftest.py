"""What tests of several folders share: the small stack, released, and a slow one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# tests/ is no package, and pytest puts only the folders of collected files on the path.
sys.path.insert(0, str(Path(__file__).parent / "build"))
sys.path.insert(0, str(Path(__file__).parent / "walkthrough"))

from real_samples import Mini, build_mini
from walk import Walk, release_mini, slow_candidate

# A machine that is busy must not fail a property.
settings.register_profile("stackwright", deadline=None)
settings.load_profile("stackwright")

# Started in the background of a shell, pytest and all that it starts would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mini]:
    yield from build_mini(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="session")
def released(mini: Mini, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The small stack, released."""
    return release_mini(mini, tmp_path_factory.mktemp("walkthrough"))


@pytest.fixture(scope="session")
def slow(released: Walk, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """A candidate that is a fifth slower, validated."""
    return slow_candidate(released, tmp_path_factory.mktemp("slow"))
