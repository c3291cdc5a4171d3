"""The container engine's tags follow what is released."""

from __future__ import annotations

from pathlib import Path

import pytest
from release_samples import NEW, OLD, build, do_release

from stackwright.errors import StackwrightError
from stackwright.release.state import Generation
from stackwright.release.tags import Stray, Tags, stray_tags, tag_images
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


# A look at the tags


@pytest.fixture
def looked(tags: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same storage, of an engine that was used here before."""
    monkeypatch.setattr(engines, "used_here", lambda names, _: names[0])
    monkeypatch.setattr(engines, "tags", lambda *_: dict(tags))
    return tags


def strays(store: Store) -> tuple[Stray, ...]:
    return stray_tags(store, ("charliecloud", "podman"), Runner())


def test_a_tag_that_another_store_took_is_found_from_the_first(
    store: Store, looked: dict[str, str], tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    ours, theirs = build(store, OLD, "ours"), build(other, OLD, "theirs")
    tag(store, do_release(store, ours).generation)
    assert strays(store) == ()

    tag(other, do_release(other, theirs).generation)

    (stray,) = strays(store)
    assert str(stray) == (
        f"localhost/pytorch:2.12.0-cpu on this machine is {theirs.image.config[:19]}, not the image"
        f" {ours.image.config[:19]} that is released in this store"
    )
    layout = store.path("live/images/pytorch/2.12.0-cpu/oci")
    assert stray.mend == (
        f"skopeo copy oci:{layout}:image containers-storage:localhost/pytorch:2.12.0-cpu"
    )
    assert strays(other) == ()


def test_a_tag_that_is_missing_is_no_stray(store: Store, looked: dict[str, str]) -> None:
    do_release(store, build(store, OLD))

    assert strays(store) == ()


def test_an_engine_that_fails_is_not_asked_again(
    store: Store, looked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists labels has no use for the engine's troubles."""

    def broken(*_: object) -> dict[str, str]:
        raise StackwrightError("podman ended with exit code 125")

    do_release(store, build(store, OLD))
    monkeypatch.setattr(engines, "tags", broken)

    assert strays(store) == ()


def test_no_engine_is_asked_that_never_worked_for_the_store(store: Store) -> None:
    do_release(store, build(store, OLD))

    assert engines.used_here(("podman", "docker"), store) is None
    assert strays(store) == ()


def test_tags_are_read_from_what_an_engine_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images without a name, and podman's warnings, are in between."""
    digest = "a" * 64
    program = tmp_path / "podman"
    program.write_text(
        "#!/bin/sh\n"
        f"echo 'localhost/mini:1.0-cpu sha256:{digest}'\n"
        f"echo '<none>:<none> sha256:{digest}'\n"
        f"echo 'WARN[0000] \"/\" is not a shared mount'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert engines.tags("podman", Runner())["localhost/mini:1.0-cpu"] == f"sha256:{digest}"
