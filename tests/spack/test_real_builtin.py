"""The real Spack on its builtin packages: minutes for a question. `make test-spack` asks them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from spack_samples import REPOSITORY, needs_spack, spack_roots

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.spack.concretize import concretize
from stackwright.spack.locked import spack_locked
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.tools.spack import PACKAGES, ROOT, Checkout, find_packages, find_spack

pytestmark = [pytest.mark.real, pytest.mark.long, needs_spack]


def the_one_with(tree: str) -> Checkout:
    """The Spack whose files made a lock."""
    for root in spack_roots():
        found = find_spack(Runner(), {ROOT: str(root)})
        if found.tree == tree:
            return found
    pytest.skip(f"needs the Spack with the tree {tree}")


@pytest.mark.parametrize("text", ["pytorch/2.9.0-source@local"])
def test_a_committed_lock_from_source_is_decided_again(text: str, tmp_path: Path) -> None:
    site, label = Site(REPOSITORY), parse(text)
    plan = resolve(site, label)
    committed = spack_locked(plan, None, site)
    assert committed.packages is not None
    spack = the_one_with(committed.spack.tree)
    try:
        packages = find_packages(spack, Runner(), os.environ)
    except StackwrightError as error:
        pytest.skip(f"needs Spack's packages: {error.hint}")
    if packages is None or packages.tree != committed.packages.tree:
        pytest.skip(f"needs {PACKAGES} with the tree {committed.packages.tree}")

    store = Store(tmp_path / "store")
    found = concretize(plan, None, site, spack, packages, store, Runner(), seconds=7200)

    assert found.lock["concrete_specs"].keys() == committed.lock["concrete_specs"].keys()
