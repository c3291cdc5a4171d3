"""The locks of Spack that are committed: each fits what its files say now. No Spack is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from locktable import PAGE, page
from spack_samples import REPOSITORY

from stackwright.inputs.labels import Label, parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.spack.asked import check
from stackwright.spack.dialect import dialect_of
from stackwright.spack.locked import spack_locked
from stackwright.spack.wheels import lock_of_wheels

FILES = sorted((REPOSITORY / "stacks" / "locks").glob("*.spack.json"))


def label_in(path: Path) -> Label:
    return parse(json.loads(path.read_text())["label"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_committed_lock_is_fresh_and_holds_what_its_stack_asks_for(path: Path) -> None:
    site, label = Site(REPOSITORY), label_in(path)
    plan = resolve(site, label)
    lock = None if plan.from_source else lock_of_wheels(plan, site)

    found = spack_locked(plan, lock, site)

    assert site.spack_lock_file(label) == path
    check(found.lock, plan, lock, site)
    assert found.lock["_meta"]["lockfile-version"] == dialect_of(found.spack.version).lock_version
    assert (found.packages is None) == (lock is not None)


def test_there_are_locks_of_both_kinds() -> None:
    kinds = {resolve(Site(REPOSITORY), label_in(path)).from_source for path in FILES}

    assert kinds == {True, False}


def test_the_page_says_what_the_locks_say() -> None:
    """`python tests/spack/locktable.py` writes it anew."""
    text = PAGE.read_text()

    assert page(Site(REPOSITORY), text) == text
