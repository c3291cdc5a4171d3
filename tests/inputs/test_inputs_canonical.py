"""Canonical JSON and hashes, against values made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stackwright.canonical import canonical_json, hash_file, hash_folder, hash_value
from stackwright.errors import StackwrightError

# printf '{"a":[1,"\\u00e9"],"b":null}' | sha256sum
HAND = "sha256:e6ad993c7a569e941cdd65aa57c817cb74d20d9877b15dfc8cc0ac151c74785d"


def test_keys_are_sorted_and_text_is_ascii() -> None:
    assert canonical_json({"b": None, "a": [1, "é"]}) == b'{"a":[1,"\\u00e9"],"b":null}'
    assert hash_value({"b": None, "a": [1, "é"]}) == HAND


def test_a_number_that_is_not_finite_has_no_hash() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        hash_value({"a": math.nan})


def test_a_file_hashes_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b'{"a":[1,"\\u00e9"],"b":null}')

    assert hash_file(tmp_path / "file") == HAND


def test_a_folder_hashes_names_bytes_links_and_the_executable_bit(tmp_path: Path) -> None:
    seen = {hash_folder(tmp_path)}

    def changes() -> bool:
        before = len(seen)
        seen.add(hash_folder(tmp_path))
        return len(seen) > before

    (tmp_path / "a").write_text("x")
    assert changes()
    (tmp_path / "a").write_text("y")
    assert changes()
    (tmp_path / "a").rename(tmp_path / "b")
    assert changes()
    (tmp_path / "b").chmod(0o755)
    assert changes()
    (tmp_path / "c").symlink_to("b")
    assert changes()
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to("a")
    assert changes()
    (tmp_path / "b").chmod(0o700)
    assert not changes()


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("changes without a trace")
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "link").symlink_to(target)

    with pytest.raises(StackwrightError, match="the link leads out of"):
        hash_folder(folder)


@pytest.mark.parametrize("target", ["__pycache__/case.py", "sub/../__pycache__/case.py", "cache"])
def test_a_link_into_what_is_not_hashed_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "__pycache__/case.py").write_text("changes without a trace")
    (tmp_path / "cache").symlink_to("__pycache__")
    (tmp_path / "link").symlink_to(target)

    with pytest.raises(StackwrightError, match="the link leads into __pycache__"):
        hash_folder(tmp_path)


def test_a_link_through_a_link_that_is_not_hashed_is_refused(tmp_path: Path) -> None:
    """It would end in another hashed file as soon as the one in between is changed."""
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "good.py").write_text("good")
    (tmp_path / "__pycache__/between").symlink_to("../good.py")
    (tmp_path / "case.py").symlink_to("__pycache__/between")

    with pytest.raises(StackwrightError, match="the link leads into __pycache__"):
        hash_folder(tmp_path)


def test_a_link_to_what_is_hashed_is_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    assert hash_folder(tmp_path).startswith("sha256:")
