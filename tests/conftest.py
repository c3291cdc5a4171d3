"""What tests of several folders share: one real build of the small stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# tests/ is no package, and pytest puts only the folders of collected files on the path.
sys.path.insert(0, str(Path(__file__).parent / "build"))

from real_samples import Mini, build_mini

# A machine that is busy must not fail a property.
settings.register_profile("stackwright", deadline=None)
settings.load_profile("stackwright")


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mini]:
    yield from build_mini(tmp_path_factory.mktemp("mini"))
