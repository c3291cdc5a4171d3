"""What a report says of a release: whether users have the very bytes that were measured."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import NOW, certificate
from release_samples import NEW, OLD, OTHER, build, do_release, do_rollback

from stackwright.canonical import hash_bytes
from stackwright.certify.artefact import Artefact
from stackwright.certify.statement import timestamp
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.release.generations import read_history
from stackwright.report.gather import released_at, released_since
from stackwright.store import Store
from stackwright.validation.prepare import digests_of
from stackwright.workshop import Workshop


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def since(store: Store, built: Artefact, *envelopes: bytes) -> str | None:
    """What a report says of a run, by the certificates made from it (else any released by)."""
    shop = Workshop(Site(Path("none")), parse(built.label), store)
    measured: dict[str, Any] = {**asdict(built.digests), "plan_hash": built.plan_hash}
    by = {p.certificate for g in read_history(store) for p in g.pointers.values()}
    return released_since(shop, measured, {hash_bytes(e) for e in envelopes} or by)


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


def test_bytes_that_were_validated_again_have_the_generation_of_their_certificate(
    store: Store,
) -> None:
    built = build(store, NEW)
    first, second = certificate(built), certificate(built, issued=NOW)
    do_release(store, built, first)
    assert since(store, built, first) == "generation 1"
    assert since(store, built, second) == "generation 1, by the certificate of another run"

    do_release(store, built, second)

    assert since(store, built, second) == "generation 2"
    assert since(store, built, first) == "generation 2, by the certificate of another run"


def began(built: Artefact, baseline: Artefact | None, created: str) -> dict[str, Any]:
    """A job's arms and time."""
    arms = {"candidate": digests_of(built), "baseline": baseline and digests_of(baseline)}
    return {"arms": arms, "created": created}


def test_a_run_is_held_against_what_users_had_when_it_began(store: Store) -> None:
    old, new = build(store, NEW, "old"), build(store, NEW, "new")
    label = parse(NEW)
    do_release(store, old, certificate(old), NOW)
    do_release(store, old, certificate(old, issued=NOW), NOW + timedelta(hours=2))
    do_release(store, new, now=NOW + timedelta(hours=4))
    history = read_history(store)

    def held_against(job: dict[str, Any]) -> int | None:
        found = released_at(history, label, job)
        return found[0].number if found else None

    before, between, after = (timestamp(NOW + timedelta(hours=n)) for n in (-1, 1, 3))
    assert held_against(began(old, None, before)) is None
    assert held_against(began(old, None, between)) == 1
    assert held_against(began(old, None, after)) == 2
    assert held_against(began(new, old, between)) == 1
    assert held_against(began(new, old, after)) == 2
