"""The small site with Spack, fresh for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from spack_samples import make_spack_site

from stackwright.inputs.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_spack_site(tmp_path / "site")
