"""A site's waivers: read with their places, before anything that takes long."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from shutil import copytree

import pytest

from stackwright.certify.acceptance import Waiver
from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.waivers import doubtful, waivers_of

LABEL = parse("pytorch/2.13.0-cpu@local")
CASES = ("imports.none-1.image", "import-time.none-1.image")


def entry(label: str, case: str) -> str:
    return f"  - {{label: {label}, case: {case}, reason: ticket 4711, expires: 2027-01-31}}\n"


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    copytree(Path(__file__).parents[1] / "site", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "validation").mkdir()
    return tmp_path / "validation" / "waivers.yaml"


def read(file: Path) -> list[Waiver]:
    return waivers_of(Site(file.parents[1]), LABEL, CASES)


def refusal(file: Path) -> str:
    with pytest.raises(ManyErrors) as caught:
        read(file)
    return str(caught.value)


def test_without_a_file_nothing_is_waived(file: Path) -> None:
    assert read(file) == []


def test_the_waivers_of_the_label_count_and_no_others(file: Path) -> None:
    other = entry("pytorch/2.12.0-cpu@local", "some-older-case.none-1.image")
    file.write_text(f"waivers:\n{other}{entry(str(LABEL), CASES[1])}")

    assert read(file) == [Waiver(case=CASES[1], reason="ticket 4711", expires="2027-01-31")]


def test_a_misspelt_case_is_told_in_its_place(file: Path) -> None:
    file.write_text(f"waivers:\n{entry(str(LABEL), 'import-tme.none-1.image')}")

    assert refusal(file) == (
        "validation/waivers.yaml:2:45: pytorch/2.13.0-cpu@local has no case"
        " 'import-tme.none-1.image' (did you mean 'import-time.none-1.image'?)"
    )


def test_a_waiver_that_counts_for_nothing_is_told(site_folder: Path) -> None:
    file = site_folder / "validation/waivers.yaml"
    label = next(iter(sorted(map(str, Site(site_folder).labels))))
    file.write_text(f"waivers:\n{entry(label, 'a')}{entry(label + 'x', 'b')}")

    assert doubtful(Site(site_folder), date(2027, 1, 31)) == [
        f"validation/waivers.yaml:3:5: a waiver of {label}x, which the site does not have"
        f" (did you mean '{label}'?)"
    ]
    assert doubtful(Site(site_folder), date(2027, 2, 1))[0] == (
        f"validation/waivers.yaml:2:5: the waiver of {label} for a ended on 2027-01-31"
    )


def test_what_is_no_label_is_told_in_its_place(file: Path) -> None:
    file.write_text(f"waivers:\n{entry('pytorch/2.13.0', CASES[1])}")

    assert refusal(file).startswith("validation/waivers.yaml:2:13: 'pytorch/2.13.0' is not a label")


def test_waivers_outside_the_site_waive_nothing(file: Path) -> None:
    outside = file.parents[1].with_name("waivers.yaml")
    outside.write_text(f"waivers:\n{entry(str(LABEL), CASES[1])}")
    file.symlink_to(outside)

    with pytest.raises(StackwrightError, match="the link leads out of"):
        read(file)
