"""What `rollback` says that it has done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certificate_samples import CASES, TRUSTED, job
from release_samples import NEW, OLD, build, do_release

from stackwright.certify.artefact import Artefact
from stackwright.cli import main
from stackwright.release.places import misplaced
from stackwright.release.tags import Tags
from stackwright.store import Store

SITE = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An older version released, then a newer one; no container engine."""
    made = Store(tmp_path / "store")
    do_release(made, build(made, OLD))
    do_release(made, build(made, NEW))
    (made.root / "keys").mkdir()
    (made.root / "keys/release.pub").write_bytes(TRUSTED.release[0].pem)
    no_tags = Tags(names={}, env={}, engine="", warning="")
    monkeypatch.setattr("stackwright.release.tags.tag_images", lambda *_: no_tags)
    return made


def typed(store: Store, *args: str) -> int:
    return main(["--site", str(SITE), "--store", str(store.root), "rollback", *args])


def test_generation_module_and_image_are_named(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    image = json.loads(store.path("generations/1/release.json").read_bytes())["pointers"][
        "pytorch/2.12.0-cpu"
    ]["image"]

    assert typed(store, NEW) == 0

    assert capsys.readouterr().out == (
        "pytorch@local is as it was in generation 1 (now generation 3)\n"
        "module:    pytorch/2.12.0-cpu (default)\n"
        f"image:     {image}\n"
    )


def test_what_failed_since_is_not_put_back(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the run that it was certified by was removed."""
    old = Artefact.model_validate_json(
        store.path("generations/1/images/pytorch/2.12.0-cpu/artefact.json").read_bytes()
    )
    later = {
        **json.loads(job(old)),
        "job_id": "20261121T090000Z-1f2e3d4c",
        "created": "2026-11-21T09:00:00Z",
    }
    cases = [{"id": name, "verdict": "FAIL"} for name in CASES]
    folder = store.path(f"runs/{later['job_id']}")
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(later))
    (folder / "judgement.json").write_text(
        json.dumps({"verdict": "FAIL", "reasons": [], "cases": cases})
    )

    assert typed(store, "pytorch") == 1

    assert "a later validation of the same bytes, is FAIL" in capsys.readouterr().err


def test_the_modulefile_is_made_for_where_the_store_is_now(store: Store, tmp_path: Path) -> None:
    moved = Store(store.root.rename(tmp_path / "moved"))

    assert typed(moved, "pytorch") == 0

    live = moved.path("live/modules/pytorch/2.12.0-cpu.lua").read_text()
    assert live.startswith(f"module.lua of {moved.root}/")


def test_what_leads_to_where_the_store_was_is_told(store: Store, tmp_path: Path) -> None:
    made = store.path("live/modules/pytorch/2.13.0-cpu.lua").read_text()
    typed(store, "pytorch")
    assert misplaced(store) == ()
    moved = Store(store.root.rename(tmp_path / "moved"))

    (told,) = misplaced(moved)

    assert made.startswith("-- pytorch")  # the sample's own: it names no place
    assert (told.module, told.made_for) == ("pytorch/2.12.0-cpu", str(store.root))
    assert told.mend == f"stackwright release '{OLD}'"


def test_scripts_get_them_as_well(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    typed(store, "pytorch@local", "--json")

    said = json.loads(capsys.readouterr().out)

    assert (said["generation"], said["restores"], said["module"], said["default"]) == (
        3,
        1,
        "pytorch/2.12.0-cpu",
        "2.12.0-cpu",
    )
