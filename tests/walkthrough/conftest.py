"""One released build of the small stack, and two faulty candidates, validated once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY
from real_samples import Mini
from walk import HERE, Walk, candidate


@pytest.fixture(scope="session")
def released(mini: Mini, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The small stack, validated by cases of its own, certified and released."""
    folder = tmp_path_factory.mktemp("walkthrough")
    environment = {"CONTAINERS_STORAGE_CONF": mini.environment["CONTAINERS_STORAGE_CONF"]}
    built = Walk(mini.site.root, mini.store.root, environment)
    walk = built.with_site(folder / "site").with_store(folder / "store")
    shutil.copytree(REPOSITORY / "validation/probes", walk.site / "validation/probes")
    shutil.copytree(HERE / "site", walk.site, dirs_exist_ok=True)
    walk.done("validate", LABEL)
    walk.done("keys", "create", "release")
    walk.done("certify", LABEL)
    walk.done("release", LABEL)
    return walk


@pytest.fixture(scope="session")
def slow(released: Walk, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """A candidate that is a fifth slower, validated in a copy of the store."""
    folder = tmp_path_factory.mktemp("slow")
    store = released.with_store(folder / "store")
    walk = candidate(store, folder / "site", "import break_it; break_it.slow_down()")
    walk.run("validate", LABEL)
    return walk


@pytest.fixture
def slow_copy(slow: Walk, tmp_path: Path) -> Walk:
    """The slow candidate in a site and a store that a test may change."""
    return slow.with_site(tmp_path / "site").with_store(tmp_path / "store")
