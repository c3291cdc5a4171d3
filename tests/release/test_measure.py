"""Measuring: the bytes in the store decide, not what the records say."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from build_samples import LABEL, make_site
from certificate_samples import artefact
from release_samples import NEW, build, tree_hash

from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.release.measure import OnPart, check_bytes, measurer, untold
from stackwright.store import Store
from stackwright.workshop import Workshop


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def built(store: Store) -> Artefact:
    return build(store, NEW)


def refusal(store: Store, built: Artefact) -> str:
    with pytest.raises(StackwrightError) as caught:
        check_bytes(built, measurer(store, tree_hash))
    return str(caught.value)


def blobs(store: Store, built: Artefact) -> Path:
    return store.path(built.image.oci) / "blobs" / "sha256"


def test_untouched_bytes_measure_as_recorded(store: Store, built: Artefact) -> None:
    assert measurer(store, tree_hash)(built) == built.digests
    check_bytes(built, measurer(store, tree_hash))


def test_a_prefix_that_cannot_be_hashed_is_refused(store: Store, built: Artefact) -> None:
    def leaves(_prefix: Path) -> str:
        raise ValueError("the link leak leads out of the prefix, to /etc/shadow")

    with pytest.raises(StackwrightError, match="the link leak leads out of the prefix"):
        check_bytes(built, measurer(store, leaves))


def test_how_far_hashing_has_come_is_told_of_every_part(store: Store, built: Artefact) -> None:
    told: dict[str, list[tuple[int, int]]] = {"image": [], "squashfs": [], "prefix": []}

    measurer(store, tree_hash, lambda part, done, total: told[part].append((done, total)))(built)

    sizes = [blob.stat().st_size for blob in blobs(store, built).iterdir()]
    assert told["image"][-1] == (sum(sizes), built.image.bytes)
    assert len(told["image"]) == len(sizes)
    squashfs = store.path(built.squashfs.path).stat().st_size
    assert told["squashfs"] == [(squashfs, built.squashfs.bytes)]
    assert told["prefix"] == [(built.prefix.bytes, built.prefix.bytes)]


def test_every_blob_of_the_image_counts(store: Store, built: Artefact) -> None:
    for blob in sorted(blobs(store, built).iterdir()):
        before = blob.read_bytes()
        blob.write_bytes(before + b" ")
        assert refusal(store, built) == f"{blob}: the blob is not what its name says"
        blob.write_bytes(before)


def test_a_missing_blob(store: Store, built: Artefact) -> None:
    layer = next(b for b in blobs(store, built).iterdir() if b.read_bytes() == b"torch")
    layer.unlink()
    assert refusal(store, built) == f"{layer}: cannot be read: No such file or directory"


def test_another_image_in_the_same_place(store: Store, built: Artefact) -> None:
    other = build(store, NEW, "other")
    moved = store.path(built.image.oci)
    moved.rename(moved.with_name("aside"))
    store.path(other.image.oci).rename(moved)
    assert refusal(store, built).startswith(f"the image of {NEW} was changed: it is sha256:")


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": []},
        {"manifests": [{"digest": "sha256:../../index.json"}]},
        {"manifests": [{"digest": "md5:00"}]},
        {"manifests": [{}]},
        {},
        [],
    ],
)
def test_a_layout_without_exactly_one_image(store: Store, built: Artefact, index: object) -> None:
    layout = store.path(built.image.oci)
    (layout / "index.json").write_text(json.dumps(index))
    assert refusal(store, built) == f"{layout}: not an OCI layout that holds exactly one image"


def test_a_changed_squashfs(store: Store, built: Artefact) -> None:
    with store.path(built.squashfs.path).open("ab") as file:
        file.write(b"\0")
    assert refusal(store, built).startswith(f"the squashfs of {NEW} was changed")


def add_file(prefix: Path) -> None:
    (prefix / "bin/extra").touch()


def change_mode(prefix: Path) -> None:
    (prefix / "bin/python3.11").chmod(0o755)


def change_link(prefix: Path) -> None:
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").symlink_to("/usr/bin/python3")


def change_manifest(prefix: Path) -> None:
    path = prefix / "share/stackwright/manifest.json"
    path.write_text(path.read_text().replace("2.13.0", "2.14.0"))


@pytest.mark.parametrize("change", [add_file, change_mode, change_link, change_manifest])
def test_a_changed_prefix(store: Store, built: Artefact, change: Callable[[Path], None]) -> None:
    prefix = store.path(built.prefix.path)
    change(prefix)
    assert refusal(store, built) == (
        f"{prefix}/share/stackwright/manifest.json: "
        "the prefix's manifest does not describe this prefix"
    )


def test_a_rebuilt_prefix_with_a_fitting_manifest(store: Store, built: Artefact) -> None:
    add_file(store.path(built.prefix.path))
    path = store.path(built.prefix.path) / "share/stackwright/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["tree"] = tree_hash(store.path(built.prefix.path))
    path.write_text(json.dumps(manifest))
    assert refusal(store, built).startswith(f"the prefix of {NEW} was changed")


def test_a_record_that_names_another_image_id(store: Store, built: Artefact) -> None:
    image = built.image.model_copy(update={"config": "sha256:" + "0" * 64})
    told = refusal(store, built.model_copy(update={"image": image}))
    assert "the record names another image ID" in told


def test_what_is_hashed_is_told_with_its_part_in_a_validation(tmp_path: Path) -> None:
    """Two builds of one label can't be told apart otherwise."""
    said: list[str] = []
    site = Site(make_site(tmp_path / "site"))

    def stage(what: str) -> AbstractContextManager[OnPart]:
        said.append(what)
        return nullcontext(untold)

    shop = Workshop(site, parse(LABEL), Store(tmp_path / "store"), stage)
    released = artefact(LABEL)
    candidate = released.model_copy(update={"plan_hash": shop.plan_hash})

    for built in (candidate, released):
        with pytest.raises(FileNotFoundError):
            shop.measure_arms(built)
    with pytest.raises(FileNotFoundError):
        shop.measure(candidate)

    assert said == [
        f"hashing image, squashfs and prefix of {what}{LABEL}"
        for what in ("candidate ", "baseline ", "")
    ]
