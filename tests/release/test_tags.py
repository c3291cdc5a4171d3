"""The container engine's tags follow what is released."""

from __future__ import annotations

from pathlib import Path

import pytest
from release_samples import NEW, OLD, build, do_release

from stackwright.errors import StackwrightError
from stackwright.release.state import Generation
from stackwright.release.tags import Tags, tag_images
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.engines import BuildEngine
from stackwright.tools.process import Runner


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An engine's storage: the image ID behind each tag."""
    known: dict[str, str] = {}
    engine = BuildEngine("podman", "podman 4.3.1", {"CONTAINERS_CONF": "x"}, "")
    monkeypatch.setattr(engines, "choose", lambda *_: engine)
    monkeypatch.setattr(engines, "load", lambda *_: None)
    monkeypatch.setattr(engines, "tag", lambda _e, image, name, _r: known.update({name: image}))
    monkeypatch.setattr(engines, "tagged", lambda _e, name, _r: known.get(name))
    return known


def tag(store: Store, generation: Generation) -> Tags:
    return tag_images(store, generation, ("podman",), Runner(store.log))


def test_every_version_has_its_tag(store: Store, tags: dict[str, str]) -> None:
    old, new = build(store, OLD, "old"), build(store, NEW, "new")
    do_release(store, old)

    found = tag(store, do_release(store, new).generation)

    assert tags == {
        "localhost/pytorch:2.12.0-cpu": old.image.config,
        "localhost/pytorch:2.13.0-cpu": new.image.config,
    }
    assert (set(found.names.values()), found.engine, found.warning) == (set(tags), "podman", "")


def test_a_tag_that_this_store_moved_before_moves_silently(
    store: Store, tags: dict[str, str]
) -> None:
    tag(store, do_release(store, build(store, OLD, "first")).generation)

    assert tag(store, do_release(store, build(store, OLD, "second")).generation).warning == ""


def test_a_tag_of_another_store_is_taken_over_and_said(
    store: Store, tags: dict[str, str], tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    tag(other, do_release(other, build(other, OLD, "theirs")).generation)
    theirs = tags["localhost/pytorch:2.12.0-cpu"]

    found = tag(store, do_release(store, build(store, OLD, "ours")).generation)

    assert tags["localhost/pytorch:2.12.0-cpu"] != theirs
    assert f"localhost/pytorch:2.12.0-cpu was {theirs[:19]}" in found.warning


def test_without_an_engine_a_release_stands(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_works(*_: object) -> BuildEngine:
        raise StackwrightError("no container engine works here\n  podman: not installed")

    monkeypatch.setattr(engines, "choose", none_works)

    found = tag(store, do_release(store, build(store, OLD)).generation)

    assert found.names == {}
    assert found.warning == "the engine's tags were not moved: no container engine works here"
