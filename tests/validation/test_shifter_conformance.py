"""What a stack sees under Shifter: the same of Shifter itself, and of bubblewrap in its place.

The real one is asked where `shifter` is on PATH, by an ordinary user (it refuses root), with
STACKWRIGHT_SHIFTER_IMAGES naming its imagePath (udiRoot.conf), in which this user may write, and
with that user's home folder among its siteFs.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackwright.runtimes.request import Engine, Mount, Request, Runtime
from stackwright.runtimes.shifter import Bubblewrap, Shifter, entries_of

pytestmark = pytest.mark.real

IMAGE_ENV = {"PATH": "/opt/stack/bin:/bin", "OF_THE_IMAGE": "yes", "BOTH": "image"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image, with things in it that Shifter replaces, loses or keeps."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs a static busybox: apt-get install busybox-static")
    root = tmp_path_factory.mktemp("image") / "root"
    folders = ("bin", "etc/ssl", "opt/stack/bin", "srv/mine", "tmp", "var/lib/mine", "var/run")
    for name in (*folders, "opt/udiImage", "usr", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in ("sh", "cat", "env", "id", "ls", "readlink", "touch", "grep", "pwd"):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("imageuser:x:7:7::/:/bin/sh\n")
    (root / "etc/group").write_text("imagegroup:x:7:\n")
    (root / "etc/mine.conf").write_text("kept\n")
    for name in ("tmp/lost", "var/run/lost", "opt/udiImage/lost"):
        (root / name).touch()
    return root


@pytest.fixture(params=["bubblewrap", "shifter"])
def way(request: pytest.FixtureRequest, root: Path) -> Iterator[Runtime]:
    if request.param == "bubblewrap":
        if not shutil.which("bwrap"):
            pytest.skip("bubblewrap is not installed")
        yield Bubblewrap(Engine(("bwrap",)), root, IMAGE_ENV, entries_of(root))
        return
    images = os.environ.get("STACKWRIGHT_SHIFTER_IMAGES")
    if not (shutil.which("shifter") and images and os.geteuid()):
        pytest.skip("needs shifter on PATH, STACKWRIGHT_SHIFTER_IMAGES, and not to be root")
    name = hashlib.sha256(str(root).encode()).hexdigest()
    squashfs, meta = Path(images, f"{name}.squashfs"), Path(images, f"{name}.meta")
    options = ["-all-root", "-no-xattrs", "-quiet", "-no-progress", "-noappend"]
    subprocess.run(["mksquashfs", root, squashfs, *options], check=True)
    lines = ["FORMAT: squashfs", *(f"ENV: {k}={v}" for k, v in IMAGE_ENV.items())]
    meta.write_text("".join(f"{line}\n" for line in lines))
    yield Shifter(Engine(("shifter",)), f"id:{name}", site_mounts=(str(Path.home()),))
    meta.unlink()
    squashfs.unlink()


def run(way: Runtime, request: Request) -> subprocess.CompletedProcess[str]:
    made = way.command_line(request)
    env = {**os.environ, "OF_THE_HOST": "yes", **made.env}
    return subprocess.run(
        made.argv, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def said(way: Runtime, script: str) -> list[str]:
    done = run(way, Request(("sh", "-c", script)))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_is_the_same_user_and_group(way: Runtime) -> None:
    assert said(way, "id -u; id -g") == [str(os.getuid()), str(os.getgid())]


def test_nothing_can_gain_privileges(way: Runtime) -> None:
    status = dict(line.split(":\t", 1) for line in said(way, "cat /proc/self/status"))

    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    if isinstance(way, Shifter):  # bwrap leaves the bounding set, of which nothing can be had
        assert int(status["CapBnd"], 16) == 0


@pytest.mark.parametrize("folder", ["/", "/bin", "/etc", "/opt", "/opt/stack", "/srv/mine", "/var"])
def test_the_image_cannot_be_written(way: Runtime, folder: str) -> None:
    assert run(way, Request(("touch", f"{folder}/new"))).returncode != 0


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/dev/shm"])
def test_the_hosts_scratch_folders_can(way: Runtime, folder: str) -> None:
    name = Path(folder, f"stackwright-test-{os.getpid()}-{type(way).__name__}")
    assert run(way, Request(("touch", str(name)))).returncode == 0
    name.unlink()


def test_users_are_the_hosts_and_not_the_images(way: Runtime) -> None:
    text = "\n".join(said(way, "cat /etc/passwd /etc/group"))

    assert pwd.getpwuid(os.getuid()).pw_name in text
    assert "imageuser" not in text
    assert "imagegroup" not in text


@pytest.mark.parametrize("path", ["/tmp/lost", "/var/run/lost", "/opt/udiImage/lost"])
def test_what_the_image_has_in_places_of_shifters_own_is_lost(way: Runtime, path: str) -> None:
    assert run(way, Request(("cat", path))).returncode != 0


def test_the_rest_of_the_image_is_there(way: Runtime) -> None:
    assert said(way, "cat /etc/mine.conf; ls /var/lib; ls /srv; readlink /bin/sh; ls /opt") == [
        *("kept", "mine", "mine", "busybox", "stack"),
        *(["udiImage"] if isinstance(way, Shifter) else []),
    ]


@pytest.mark.parametrize("kind", ["pid", "net", "ipc", "uts"])
def test_namespaces_are_the_hosts(way: Runtime, kind: str) -> None:
    assert said(way, f"readlink /proc/self/ns/{kind}") == [
        str(Path(f"/proc/self/ns/{kind}").readlink())
    ]


def test_variables_come_from_the_image_and_then_from_what_is_asked(way: Runtime) -> None:
    done = run(way, Request(("env",), env={"BOTH": "asked", "ASKED": "yes"}))
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())

    assert (seen["OF_THE_IMAGE"], seen["BOTH"], seen["ASKED"]) == ("yes", "asked", "yes")
    assert "OF_THE_HOST" not in seen
    assert seen["PATH"].startswith(IMAGE_ENV["PATH"])


@pytest.mark.parametrize(("script", "code"), [("exit 42", 42), ("exec /no/such/program", 127)])
def test_exit_codes_pass_through(way: Runtime, script: str, code: int) -> None:
    assert run(way, Request(("sh", "-c", script))).returncode == code


def test_volumes_are_mounted_and_written_only_where_they_may_be(way: Runtime) -> None:
    folder = Path.home() / f".stackwright-test-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "given").write_text("data\n")
        read = Request(("cat", "/data/given"), mounts=(Mount(str(folder), "/data"),))
        assert run(way, read).stdout == "data\n"
        touch = ("touch", "/data/new")
        assert run(way, Request(touch, mounts=read.mounts)).returncode != 0
        mine = (Mount(str(folder), "/data", writable=True),)
        assert run(way, Request(touch, mounts=mine)).returncode == 0
        assert (folder / "new").exists()
    finally:
        shutil.rmtree(folder)


def test_it_starts_where_it_is_told_to(way: Runtime) -> None:
    assert run(way, Request(("pwd",), workdir="/srv/mine")).stdout == "/srv/mine\n"
