"""The small site of build_samples.py, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from build_samples import make_site
from real_samples import Mini, build_mini

from stackwright.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(make_site(tmp_path / "site"))


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mini]:
    yield from build_mini(tmp_path_factory.mktemp("mini"))
