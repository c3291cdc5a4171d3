"""Generations on disk: damage is found, leftovers are dealt with, nothing released is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from certificate_samples import NOW, TRUSTED
from release_samples import (
    NEW,
    OLD,
    OTHER,
    build,
    do_release,
    do_rollback,
    live_files,
    modulefile,
    request,
    tree_hash,
)

from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.release.generations import (
    live_number,
    read_generation,
    read_history,
    save_certificate,
)
from stackwright.release.measure import measurer
from stackwright.release.rule import release
from stackwright.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def names(store: Store, folder: str) -> list[str]:
    return sorted(path.name for path in store.path(folder).iterdir())


def test_a_store_before_its_first_release(store: Store) -> None:
    assert live_number(store) is None
    assert read_history(store) == ()


def test_live_is_a_relative_link_to_the_newest_generation(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    assert str(store.path("live").readlink()) == "generations/2"
    assert [g.label for g in read_history(store)] == [OLD, NEW]
    assert names(store, "work") == []


def test_older_generations_stay_as_they_were(store: Store) -> None:
    do_release(store, build(store, OLD))
    first = store.path("generations/1")
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    do_release(store, build(store, OTHER))
    do_release(store, build(store, NEW))
    do_rollback(store)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_a_draft_of_a_crashed_release_is_cleared_away(store: Store) -> None:
    draft = store.path("work/release-abc123/generation/modules")
    draft.mkdir(parents=True)
    (draft / "half").write_text("half a modul")
    other = store.path("work/image-build")
    other.mkdir()
    do_release(store, build(store, NEW))
    assert names(store, "work") == ["image-build"]


@pytest.mark.parametrize("released", [0, 1])
def test_a_generation_that_never_became_live_is_moved_aside(store: Store, released: int) -> None:
    for label in [OLD][:released]:
        do_release(store, build(store, label))
    orphan = store.path(f"generations/{released + 1}")
    orphan.mkdir(parents=True)
    (orphan / "release.json").write_text("never released")
    outcome = do_release(store, build(store, NEW))
    assert outcome.generation.number == released + 1
    (aside,) = store.path("generations").glob(f"orphan-{released + 1}-*")
    assert (aside / "release.json").read_text() == "never released"
    assert len(read_history(store)) == released + 1


def test_a_live_that_was_moved_by_hand_stops_releases(store: Store) -> None:
    for label in (OLD, NEW, OTHER):
        do_release(store, build(store, label))
    store.path("live").unlink()
    store.path("live").symlink_to("generations/1")
    built = build(store, NEW, "newer")
    with pytest.raises(StackwrightError, match=r"live is at generation 1, but .* 2 to 3") as caught:
        do_release(store, built)
    assert f"ln -sfn generations/3 {store.path('live')}" in (caught.value.hint or "")
    assert names(store, "generations") == ["1", "2", "3"]


def test_a_lost_live_stops_releases(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, OTHER))
    store.path("live").unlink()
    with pytest.raises(StackwrightError, match=r"live is at generation 0, but .* 1 to 2"):
        do_release(store, build(store, NEW))


@pytest.mark.parametrize("target", ["/etc", "generations/0", "generations/01", "../generations/1"])
def test_a_live_that_leads_elsewhere_is_refused(store: Store, target: str) -> None:
    do_release(store, build(store, OLD))
    store.path("live").unlink()
    store.path("live").symlink_to(target)
    with pytest.raises(StackwrightError, match="not a link to a generation"):
        do_release(store, build(store, NEW))


def test_a_live_that_is_a_folder_is_refused(store: Store) -> None:
    store.path("live").mkdir(parents=True)
    with pytest.raises(StackwrightError, match="not a link to a generation: not a symlink"):
        live_number(store)


@pytest.mark.parametrize("text", ["", "{}", '{"schema":"stackwright/generation/2"}'])
def test_a_damaged_record_is_refused(store: Store, text: str) -> None:
    do_release(store, build(store, OLD))
    store.path("generations/1/release.json").write_text(text)
    with pytest.raises(StackwrightError):
        do_release(store, build(store, NEW))
    assert live_number(store) == 1


def test_a_gap_in_history_is_refused(store: Store) -> None:
    for label in (OLD, OTHER, NEW):
        do_release(store, build(store, label))
    record = store.path("generations/2/release.json")
    record.write_bytes(store.path("generations/1/release.json").read_bytes())
    with pytest.raises(StackwrightError, match="its numbers don't follow the one before"):
        read_history(store)
    record.unlink()
    with pytest.raises(StackwrightError, match="cannot be read: No such file"):
        read_history(store)


def test_the_next_release_mends_a_changed_file_of_another_stack(store: Store) -> None:
    do_release(store, build(store, OLD))
    store.path("live/modules/pytorch/2.12.0-cpu.lua").write_bytes(modulefile(OLD)[:-10])
    do_release(store, build(store, OTHER))
    assert store.path("live/modules/pytorch/2.12.0-cpu.lua").read_bytes() == modulefile(OLD)


def test_a_release_never_points_to_nothing(store: Store) -> None:
    old = build(store, OLD)
    do_release(store, old)
    store.path(old.squashfs.path).unlink()
    with pytest.raises(StackwrightError, match="a release would point to nothing"):
        do_release(store, build(store, OTHER))
    assert names(store, "work") == []


def test_a_release_that_cannot_be_written_leaves_live_alone(store: Store) -> None:
    do_release(store, build(store, OLD))
    built = build(store, NEW)

    def clash(artefact: Artefact, _default: str) -> Mapping[str, bytes]:
        file = f"modules/{parse(artefact.label).module}"
        return {file: b"", f"{file}/below": b""}

    with pytest.raises(StackwrightError, match=r"cannot write the release: .*; live is at 1"):
        release(
            store,
            request(built),
            keys=TRUSTED,
            measure=measurer(store, tree_hash),
            render=clash,
            now=NOW,
        )
    assert (live_number(store), names(store, "work")) == (1, [])


def test_a_certificate_is_kept_once(store: Store) -> None:
    first = save_certificate(store, b"{}")
    assert save_certificate(store, b"{}") == first
    assert (names(store, "certificates"), first.read_bytes()) == ([first.name], b"{}")


def test_a_generation_lists_all_of_its_files(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, OTHER))
    generation = read_generation(store, 2)
    links = {path for content in generation.content.values() for path in content.links}
    assert sorted({*generation.files, *links, "release.json"}) == live_files(store)
