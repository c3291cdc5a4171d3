"""A file that another program writes is watched while it grows."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from stackwright.building.samebytes import watched


def test_the_size_of_a_growing_file_is_told_until_it_is_done(tmp_path: Path) -> None:
    file, sizes, seen = tmp_path / "image.squashfs", list[int](), Event()

    def note(size: int) -> None:
        sizes.append(size)
        seen.set()

    with watched(file, note, every=0.001):
        for written in (b"12", b"12345"):
            file.write_bytes(written)
            seen.clear()
            assert seen.wait(10)
    told = len(sizes)
    file.write_bytes(b"1234567")

    assert 5 in sizes
    assert set(sizes) <= {0, 2, 5}
    assert len(sizes) == told
