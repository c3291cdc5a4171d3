"""The small site of build_samples.py, fresh for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_samples import make_site

from stackwright.inputs.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(make_site(tmp_path / "site"))
