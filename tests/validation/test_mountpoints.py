"""Where a run time can mount in an image that it can't write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from stackwright.runtimes.mountpoints import BUBBLEWRAP, SHIFTER, Making, lacks_place
from stackwright.runtimes.request import Engine, Mount, Request
from stackwright.runtimes.shifter import Bubblewrap, entries_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in ("bin", "dev", "etc", "mnt", "opt/stack", "proc", "srv/mine", "sys", "tmp", "var"):
        (folder / name).mkdir(parents=True)
    (folder / "opt/file").touch()
    return folder


TARGETS = {
    "/mnt": (True, True),
    "/opt/stack": (True, True),
    "/data": (True, True),
    "/opt/data": (True, True),
    "/data/deep": (True, False),
    "/etc/data": (True, False),
    "/srv/data": (False, False),
    "/opt/stack/data": (False, False),
    "/opt/file": (False, False),
    "/opt/file/data": (False, False),
    "/tmp/any/where": (True, True),
    "/scratch/me": (True, True),
}
"""Whether bubblewrap and Shifter have a place there; /scratch is the site's."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_mount_point_is_in_the_image_or_can_be_made(root: Path, target: str) -> None:
    def place(making: Making) -> bool:
        return not lacks_place(root, target, making, ["/scratch"])

    assert (place(BUBBLEWRAP), place(SHIFTER)) == TARGETS[target]


@pytest.mark.real
@pytest.mark.parametrize("target", [name for name in TARGETS if not name.startswith("/scratch")])
def test_bubblewrap_itself_says_the_same(root: Path, target: str, tmp_path: Path) -> None:
    if not (shutil.which("bwrap") and shutil.which("busybox")):
        pytest.skip("needs bwrap and busybox: apt-get install bubblewrap busybox-static")
    shutil.copy(str(shutil.which("busybox")), root / "bin/busybox")
    (tmp_path / "data").mkdir()
    where = f"{tmp_path}/there" if target.startswith("/tmp") else target
    way = Bubblewrap(Engine(("bwrap",)), root, {}, entries_of(root))
    asked = Request(("/bin/busybox", "true"), mounts=(Mount(str(tmp_path / "data"), where),))

    done = subprocess.run(way.command_line(asked).argv, capture_output=True, text=True, check=False)

    assert (done.returncode == 0) == TARGETS[target][0], done.stderr
