"""A small site for the tests of the inputs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SITE = Path(__file__).parents[1] / "site"


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of tests/site that a test may change; the current directory."""
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    monkeypatch.chdir(folder)
    return folder
