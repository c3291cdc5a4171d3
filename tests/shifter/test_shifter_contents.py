"""What an image holds when its layers are laid over each other."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from shifter_samples import CLEAN, Item, file, folder, hard, image_of, link, make_layout, program

from stackwright.errors import ExitCode, StackwrightError
from stackwright.shifter.contents import Config, open_image


@pytest.mark.parametrize("compress", [False, True])
def test_a_later_layer_replaces_and_takes_away(tmp_path: Path, compress: bool) -> None:
    lower = [folder("/a"), file("/a/kept"), file("/a/gone"), file("/b/old"), file("/c/deep/x")]
    upper = [
        file("/a/kept", "new"),
        file("/a/.wh.gone", ""),
        file("/b/.wh..wh..opq", ""),
        file("/b/new"),
        file("/.wh.c", ""),
    ]

    with image_of(tmp_path / "oci", lower, upper, compress=compress) as image:
        assert {e.path for e in image.files} == {"/a/kept", "/b/new"}
        assert image.opened("/a/kept").read() == b"new"
        assert image.find("/c") is None


def test_what_a_layer_takes_away_it_may_bring_anew(tmp_path: Path) -> None:
    upper = [file("/a/new"), file("/a/.wh..wh..opq", ""), file("/.wh.b", ""), file("/b")]

    with image_of(tmp_path / "oci", [file("/a/old"), file("/b", "old")], upper) as image:
        assert {e.path for e in image.files} == {"/a/new", "/b"}


def test_a_file_that_takes_a_folders_place_takes_its_content(tmp_path: Path) -> None:
    with image_of(tmp_path / "oci", [folder("/a"), file("/a/x")], [file("/a")]) as image:
        assert [e.path for e in image.entries.values()] == ["/a"]


def test_folders_that_no_layer_names_are_there(tmp_path: Path) -> None:
    with image_of(tmp_path / "oci", [file("/a/b/c")]) as image:
        assert [e.path for e in image.below("/a")] == ["/a/b", "/a/b/c"]


def test_links_are_followed_inside_the_image(tmp_path: Path) -> None:
    items = [
        *(link("/bin", "usr/bin"), program("/usr/bin/dash"), link("/usr/bin/sh", "dash")),
        *(link("/abs", "/usr/../usr/bin/sh"), link("/up", "../../../usr/bin/dash")),
        *(link("/loop", "loop"), link("/nowhere", "/no/such")),
    ]

    with image_of(tmp_path / "oci", items) as image:
        for path in ("/bin/sh", "/abs", "/up", "//bin/./sh"):
            found = image.find(path)
            assert found is not None, path
            assert found.path == "/usr/bin/dash"
        assert image.find("/loop") is None
        assert image.find("/nowhere") is None


def test_hard_links_have_the_bytes_and_the_mode_of_the_first_name(tmp_path: Path) -> None:
    items = [file("/a", "bytes", 0o640), hard("/b", "a")]

    with image_of(tmp_path / "oci", items) as image:
        assert image.opened("/b").read() == b"bytes"
        assert (image.entries["/b"].mode, image.entries["/b"].size) == (0o640, 5)


def test_kinds_modes_and_capabilities(tmp_path: Path) -> None:
    headers = {"SCHILY.xattr.security.capability": "some"}
    items = [
        Item("/fifo", tarfile.FIFOTYPE),
        Item("/dev/null", tarfile.CHRTYPE),
        Item("/ping", mode=0o4755, headers=headers),
    ]

    with image_of(tmp_path / "oci", items) as image:
        kinds = {path: entry.kind for path, entry in image.entries.items()}
        assert kinds == {"/fifo": "fifo", "/dev": "folder", "/dev/null": "device", "/ping": "file"}
        assert image.entries["/ping"].mode == 0o4755
        assert image.entries["/ping"].capabilities


def test_a_configuration_may_leave_everything_out() -> None:
    assert Config.of({}) == Config()
    assert Config.of({"config": {"Env": None, "Cmd": None, "Volumes": None}}) == Config()


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    digest, config = make_layout(tmp_path / "oci", CLEAN)
    for blob in (config, digest):
        path = tmp_path / "oci/blobs/sha256" / blob[7:]
        path.write_bytes(path.read_bytes().replace(b"2", b"3"))

        with (
            pytest.raises(StackwrightError, match="not what its name says") as refused,
            open_image(tmp_path / "oci", digest),
        ):
            pass
        assert refused.value.code == ExitCode.INVALID


@pytest.mark.parametrize("data", [b"no tar archive", b"\x1f\x8bcut", b"\x28\xb5\x2f\xfdzstd"])
def test_a_layer_that_cannot_be_read_is_one_line(tmp_path: Path, data: bytes) -> None:
    digest, _ = make_layout(tmp_path / "oci", CLEAN)
    blobs = (tmp_path / "oci/blobs/sha256").iterdir()
    max(blobs, key=lambda path: path.stat().st_size).write_bytes(data)

    with (
        pytest.raises(StackwrightError, match="layer") as refused,
        open_image(tmp_path / "oci", digest),
    ):
        pass
    assert "\n" not in refused.value.what
