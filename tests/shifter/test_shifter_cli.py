"""The commands lint and build, on a label whose artefact is in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from release_samples import build
from shifter_samples import CLEAN, CONFIG, Item, file, make_layout

from stackwright.cli import main
from stackwright.errors import ExitCode
from stackwright.inputs.labels import parse
from stackwright.inputs.site import find_site
from stackwright.plans.plan import plan_hash, resolve
from stackwright.store import Store

LABEL = "pytorch/2.13.0-cpu@local"
REPOSITORY = Path(__file__).parents[2]


def record(store: Store, *items: Item, **config: Any) -> str:
    """Have a label built, as far as the store tells; returns the image's digest."""
    artefact = build(store, LABEL)
    layout = store.path("steps/image/real/oci")
    digest, described = make_layout(layout, CLEAN, items, config={**CONFIG, **config})
    image = {"digest": digest, "config": described, "oci": "steps/image/real/oci"}
    changes = {
        "image": artefact.image.model_copy(update=image),
        "plan_hash": plan_hash(resolve(find_site(REPOSITORY, {}, REPOSITORY), parse(LABEL))),
    }
    store.write_artefact(artefact.model_copy(update=changes))
    return digest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def run(store: Store, *args: str) -> int:
    where = ("--site", str(REPOSITORY), "--store", str(store.root))
    return main(["--no-color", *where, *args])


def test_a_clean_image(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    record(store)

    assert run(store, "lint", "pytorch@local") == ExitCode.OK

    assert capsys.readouterr().out == f"{LABEL}: clean by SH01 to SH17\n"


def test_each_finding_says_what_to_change(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, file("/opt/my data"), WorkingDir="/opt/stack")

    assert run(store, "lint", "pytorch@local") == ExitCode.FAIL

    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["rule", "where", "what", "change", "in", "the", "stack"]
    assert [row.split()[:2] for row in rows] == [["SH01", "error"], ["SH10", "note"]]
    assert "rename it, or move it a folder deeper" in rows[0]
    assert last == f"{LABEL}: 1 error, 1 note by SH01 to SH17"


def test_findings_for_programs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    digest = record(store, file("/opt/my data"), file("/tmp/x"))

    assert run(store, "lint", "pytorch@local", "--json", "--rule", "SH05") == ExitCode.FAIL

    said = json.loads(capsys.readouterr().out)
    (finding,) = said.pop("findings")
    assert said == {"label": LABEL, "image": digest, "rules": ["SH05"], "clean": False}
    assert sorted(finding) == ["fix", "rule", "severity", "what", "where"]
    assert (finding["rule"], finding["where"]) == ("SH05", "/tmp/x")


def test_a_note_alone_is_no_failure(store: Store) -> None:
    record(store, User="ada")

    assert run(store, "lint", "pytorch@local") == ExitCode.OK


def test_what_is_not_built_is_not_read(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "lint", "pytorch@local") == ExitCode.USAGE
    assert f"stackwright build '{LABEL}'" in capsys.readouterr().err

    assert run(store, "lint", "pytorch@local", "--released") == ExitCode.USAGE
    assert "is not released" in capsys.readouterr().err


def test_a_build_lays_the_image_out(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    name = record(store).removeprefix("sha256:")

    assert run(store, "build", "pytorch@local", "--json") == ExitCode.OK

    said = json.loads(capsys.readouterr().out)["shifter"]
    assert said["id"] == name
    assert (Path(said["squashfs"]).read_bytes(), Path(said["meta"]).read_bytes()[:17]) == (
        b"hsqstorch",
        b"FORMAT: squashfs\n",
    )


def test_a_build_that_shifter_cannot_be_told_of(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, Cmd=["/bin/sh", "-c", "echo 'x'"])

    assert run(store, "build", "pytorch@local") == ExitCode.OK

    assert "warning: not laid out for Shifter: " in capsys.readouterr().err
    assert not store.path("shifter").exists()
