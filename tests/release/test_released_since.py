"""What a report says of a release: whether users have the very bytes that were measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from release_samples import NEW, OLD, OTHER, build, do_release, do_rollback

from stackwright.certify.artefact import Artefact
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.report.gather import released_since
from stackwright.store import Store
from stackwright.workshop import Workshop


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def since(store: Store, built: Artefact) -> str | None:
    shop = Workshop(Site(Path("none")), parse(built.label), store)
    measured: dict[str, Any] = {**asdict(built.digests), "plan_hash": built.plan_hash}
    return released_since(shop, measured)


def test_nothing_is_released_in_an_empty_store(store: Store) -> None:
    assert since(store, build(store, NEW)) is None


def test_later_releases_of_other_stacks_do_not_count(store: Store) -> None:
    built = build(store, NEW)
    do_release(store, build(store, OLD))
    do_release(store, built)
    do_release(store, build(store, OTHER))

    assert since(store, built) == "generation 2"


def test_what_was_replaced_or_rolled_back_is_not_released(store: Store) -> None:
    first, second = build(store, NEW, "first"), build(store, NEW, "second")
    do_release(store, first)
    do_release(store, second)

    assert (since(store, first), since(store, second)) == (None, "generation 2")

    do_rollback(store)

    assert (since(store, first), since(store, second)) == ("generation 3", None)
