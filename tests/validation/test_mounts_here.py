"""What `run` says of mounts before a run time is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_prepare import artefact

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.runtimes.here import Here, own_folder
from stackwright.runtimes.request import Mount, Request
from stackwright.store import Store
from stackwright.tools.process import Runner

ROOT = Path(__file__).parents[2]
BUILT = artefact("a")


@pytest.fixture
def here(tmp_path: Path) -> Here:
    """A store with a squashfs of three folders."""
    if not (shutil.which("mksquashfs") and shutil.which("unsquashfs")):
        pytest.skip("needs: apt-get install squashfs-tools")
    for name in ("mnt", "opt/stack", "etc"):
        (tmp_path / "root" / name).mkdir(parents=True)
    store = Store(tmp_path / "store")
    squashfs = store.path(BUILT.squashfs.path)
    squashfs.parent.mkdir(parents=True)
    subprocess.run(
        ["mksquashfs", tmp_path / "root", squashfs, "-quiet", "-no-progress"], check=True
    )
    return Here(store, Runner(), Site(ROOT).system("local"))


@pytest.mark.parametrize("name", ["charliecloud", "bubblewrap"])
@pytest.mark.parametrize("target", ["/mnt", "/mnt/", "/opt/stack", "/tmp/any/where"])
def test_what_the_image_has_or_can_have_is_mounted(here: Here, name: str, target: str) -> None:
    here.check_mounts(name, BUILT, [Mount("/data", target)])


@pytest.mark.parametrize(
    ("name", "target", "place"),
    [
        ("charliecloud", "/data", "below /tmp"),
        ("charliecloud", "/opt/stack/data", "below /tmp"),
        ("bubblewrap", "/opt/stack/data", "directly below /, such as /data"),
        ("shifter", "/data/deep", "directly below / or /opt"),
    ],
)
def test_what_it_can_not_is_refused_with_a_place_that_works(
    here: Here, name: str, target: str, place: str
) -> None:
    with pytest.raises(StackwrightError, match=f"{name} can't mount /mine at {target}") as refused:
        here.check_mounts(name, BUILT, [Mount("/mine", target)])

    assert place in (refused.value.hint or "")


def test_who_makes_every_mount_point_is_not_asked(here: Here) -> None:
    here.check_mounts("podman", BUILT, [Mount("/mine", "/opt/stack/data")])


def test_ch_run_mounts_where_nobody_else_can_put_another_image(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("ch-run") is None:
        pytest.skip("needs: apt-get install charliecloud")
    monkeypatch.setattr("stackwright.runtimes.here.image_environment", lambda *_: {})
    runtime = here.ready("charliecloud", BUILT)

    argv = runtime.command_line(Request(("true",))).argv

    assert f"--mount={here.store.root}/mnt" in argv
    assert (here.store.root / "mnt").is_dir()


def test_who_may_only_read_the_store_mounts_at_home(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert own_folder(here.store) == tmp_path / "home/.cache/stackwright/mnt"
