"""A faulty candidate that a test may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from walk import Walk


@pytest.fixture
def slow_copy(slow: Walk, tmp_path: Path) -> Walk:
    """The slow candidate in a site and a store that a test may change."""
    return slow.with_site(tmp_path / "site").with_store(tmp_path / "store")
