"""Wrong files and the exact text that a user gets: one .yaml and one .txt for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackwright.errors import ManyErrors
from stackwright.inputs.site import Site

WRONG = Path(__file__).parent / "wrong"
READ: dict[str, Callable[[Site, str], Any]] = {"stacks": Site.stack, "systems": Site.system}


@pytest.mark.parametrize(
    "wrong", sorted(WRONG.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_mistake_of_a_file_is_reported_in_its_place(wrong: Path, site_folder: Path) -> None:
    kind = wrong.parent.name
    shutil.copy(wrong, site_folder / kind)

    with pytest.raises(ManyErrors) as caught:
        READ[kind](Site(site_folder), wrong.stem)

    assert f"{caught.value}\n" == wrong.with_suffix(".txt").read_text()


def test_the_mistakes_of_all_files_are_reported_together(site_folder: Path) -> None:
    shutil.copy(WRONG / "stacks" / "tagged.yaml", site_folder / "stacks")
    shutil.copy(WRONG / "systems" / "pluto.yaml", site_folder / "systems")

    with pytest.raises(ManyErrors) as caught:
        _ = Site(site_folder).labels

    files = {str(error.where).split(":")[0] for error in caught.value.errors}
    assert files == {"stacks/tagged.yaml", "systems/pluto.yaml"}
