"""Sources from anywhere, laid out as Spack looks them up: by the hashes of their bytes."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

import pytest

IMAGES = Path(__file__).parents[2] / "images"


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(IMAGES))
    return importlib.import_module("spack_sources")


def lay_out(sources: ModuleType, monkeypatch: pytest.MonkeyPatch, known: Path, place: str) -> None:
    monkeypatch.setattr("sys.argv", ["spack_sources.py", "--known", str(known), place])
    sources.main()


def cached(known: Path) -> dict[str, bytes]:
    root = known / "_source-cache" / "archive"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.*")}


def test_a_file_is_found_by_its_hash_whatever_it_is_called(
    sources: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "tarballs" / "deep"
    folder.mkdir(parents=True)
    (folder / "foo_1.0.orig.tar.gz").write_bytes(b"foo")
    digest = hashlib.sha256(b"foo").hexdigest()

    lay_out(sources, monkeypatch, tmp_path / "known", str(folder.parent))

    assert cached(tmp_path / "known") == {f"{digest[:2]}/{digest}.tar.gz": b"foo"}
    # What Spack doesn't unpack, such as a patch, it looks up without an extension.
    place = tmp_path / "known/_source-cache/archive" / digest[:2] / digest
    assert place.read_bytes() == b"foo"


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("foo_1.0.orig.tar.xz", ".tar.xz"),
        ("foo-1.0.tgz", ".tgz"),
        ("fix.patch", ".patch"),
        ("README", ""),
    ],
)
def test_extensions_are_those_of_archives(sources: ModuleType, name: str, extension: str) -> None:
    assert sources.extension(name) == extension


def test_a_list_names_urls_a_line_each(
    sources: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "foo.tar.gz").write_bytes(b"foo")
    places = tmp_path / "places.txt"
    places.write_text(f"# of Debian\n\nfile://{tmp_path}/foo.tar.gz  # foo\n")

    lay_out(sources, monkeypatch, tmp_path / "known", str(places))

    assert [*cached(tmp_path / "known").values()] == [b"foo"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("file:///nowhere/foo.tar.gz\n", "No such file"), ("no-url\n", "unknown url type")],
)
def test_an_url_that_leads_nowhere_is_named(
    sources: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    said: str,
) -> None:
    (tmp_path / "places.txt").write_text(text)

    with pytest.raises(SystemExit, match=rf"{text.strip()}: .*{said}"):
        lay_out(sources, monkeypatch, tmp_path / "known", str(tmp_path / "places.txt"))


def test_a_place_that_is_not_there_is_named(
    sources: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="neither a folder nor a list"):
        lay_out(sources, monkeypatch, tmp_path / "known", str(tmp_path / "absent"))
