"""Command lines of the run times that validation does not use yet, word by word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stackwright.runtimes.containers import Container
from stackwright.runtimes.request import Engine, Mount, Request, Runtime
from stackwright.runtimes.rootless import Apptainer, Charliecloud
from stackwright.runtimes.shifter import Bubblewrap, Entry, Shifter, entries_of, hidden_by

IMAGE_ENV = {"PATH": "/opt/stack/bin"}
ENTRIES = {
    "/": (Entry("bin", "usr/bin"), Entry("etc"), Entry("opt"), Entry("scratch"), Entry("usr")),
    "/opt": (Entry("stack"), Entry("udiImage")),
    "/etc": (Entry("passwd"), Entry("ssl")),
}
DATA = Mount("/scratch/me/a b", "/data")
RUNTIMES: dict[str, Runtime] = {
    "podman": Container("podman", Engine(("podman",)), "46a1"),
    "podman-hpc": Container("podman-hpc", Engine(("podman-hpc",)), "site/pytorch:2.13.0-cpu"),
    "docker": Container("docker", Engine(("docker",)), "46a1"),
    "charliecloud": Charliecloud(Engine(("ch-run",)), Path("/s/i.squashfs"), IMAGE_ENV),
    "bubblewrap": Bubblewrap(
        Engine(("bwrap",)), Path("/s/root"), IMAGE_ENV, ENTRIES, ("/scratch",)
    ),
    "apptainer": Apptainer(Engine(("apptainer",)), Path("/s/i.squashfs"), IMAGE_ENV),
    "shifter": Shifter(
        Engine(("shifter",)), "docker:site/pytorch:2.13.0-cpu", ("mpich",), ("/scratch",)
    ),
}
REQUEST = Request(
    command=("python", "train.py", "--name", "it's"),
    env={"OMP_NUM_THREADS": "2"},
    mounts=(DATA, Mount("/scratch/me/out", "/out", writable=True)),
    workdir="/out",
    gpus=True,
)
EXPECTED = {
    "podman": (
        *("podman", "run", "--rm", "--pull=never", "--network=host", "--shm-size=1g"),
        *("--device=nvidia.com/gpu=all", "--workdir=/out"),
        "--mount=type=bind,source=/scratch/me/a b,target=/data,readonly",
        "--mount=type=bind,source=/scratch/me/out,target=/out",
        *("--env=OMP_NUM_THREADS=2", "--entrypoint=python", "46a1"),
        *("train.py", "--name", "it's"),
    ),
    "podman-hpc": (
        *("podman-hpc", "run", "--rm", "--pull=never", "--network=host", "--shm-size=1g"),
        *("--gpu", "--workdir=/out"),
        "--mount=type=bind,source=/scratch/me/a b,target=/data,readonly",
        "--mount=type=bind,source=/scratch/me/out,target=/out",
        *("--env=OMP_NUM_THREADS=2", "--entrypoint=python", "site/pytorch:2.13.0-cpu"),
        *("train.py", "--name", "it's"),
    ),
    "docker": (
        *("docker", "run", "--rm", "--pull=never", "--network=host", "--shm-size=1g"),
        *("--cap-add=SYS_PTRACE", "--gpus=all", "--workdir=/out"),
        "--mount=type=bind,source=/scratch/me/a b,target=/data,readonly",
        "--mount=type=bind,source=/scratch/me/out,target=/out",
        *("--env=OMP_NUM_THREADS=2", "--entrypoint=python", "46a1"),
        *("train.py", "--name", "it's"),
    ),
    "charliecloud": (
        *("ch-run", "--private-tmp", "--unset-env=*", "--env-no-expand", "--cd=/out"),
        *("--set-env=HOME=/root", "--set-env=PATH=/opt/stack/bin", "--set-env=OMP_NUM_THREADS=2"),
        *("--bind=/scratch/me/a b:/data", "--bind=/scratch/me/out:/out"),
        *("/s/i.squashfs", "--", "python", "train.py", "--name", "it's"),
    ),
    "bubblewrap": (
        *("bwrap", "--die-with-parent", "--cap-drop", "ALL", "--clearenv"),
        *("--symlink", "usr/bin", "/bin", "--ro-bind", "/s/root/usr", "/usr"),
        *("--ro-bind", "/s/root/opt/stack", "/opt/stack"),
        *("--ro-bind", "/s/root/etc/ssl", "/etc/ssl"),
        *("--dir", "/var/spool", "--dir", "/var/run", "--dir", "/var/empty"),
        *("--ro-bind", "/etc/passwd", "/etc/passwd", "--ro-bind", "/etc/group", "/etc/group"),
        *("--ro-bind-try", "/etc/nsswitch.conf", "/etc/nsswitch.conf"),
        *("--ro-bind-try", "/etc/hosts", "/etc/hosts"),
        *("--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"),
        *("--symlink", "/proc/mounts", "/etc/mtab", "--ro-bind", "/dev/null", "/etc/shadow"),
        *("--bind", "/proc", "/proc", "--bind", "/sys", "/sys", "--dev-bind", "/dev", "/dev"),
        *("--bind", "/tmp", "/tmp", "--bind", "/var/tmp", "/var/tmp"),
        *("--bind", "/scratch", "/scratch"),
        *("--ro-bind", "/scratch/me/a b", "/data", "--bind", "/scratch/me/out", "/out"),
        *("--remount-ro", "/", "--chdir", "/out", "--setenv", "HOME", "/"),
        *("--setenv", "PATH", "/opt/stack/bin"),
        *("--setenv", "OMP_NUM_THREADS", "2", "--", "python", "train.py", "--name", "it's"),
    ),
    "apptainer": (
        *("apptainer", "exec", "--containall", "--no-home", "--no-umask", "--no-eval", "--nv"),
        *("--bind=/tmp:/tmp:rw", "--bind=/var/tmp:/var/tmp:rw"),
        *("--pwd=/out", "--bind=/scratch/me/a b:/data:ro", "--bind=/scratch/me/out:/out:rw"),
        *("/s/i.squashfs", "python", "train.py", "--name", "it's"),
    ),
    "shifter": (
        *("shifter", "--image=docker:site/pytorch:2.13.0-cpu", "--module=mpich,gpu", "--clearenv"),
        *("--workdir=/out", "--volume=/scratch/me/a b:/data:ro", "--volume=/scratch/me/out:/out"),
        *("--env=HOME=/", "--env=OMP_NUM_THREADS=2", "--", "python", "train.py", "--name", "it's"),
    ),
}


NO_GPUS = {"charliecloud", "bubblewrap"}


@pytest.mark.parametrize("name", RUNTIMES)
def test_the_command_line_is_that_of_the_tools_manual(name: str) -> None:
    request = replace(REQUEST, gpus=name not in NO_GPUS)

    assert RUNTIMES[name].command_line(request).argv == EXPECTED[name]


def test_apptainer_hands_variables_over_by_its_own() -> None:
    request = replace(REQUEST, env={"FLAGS": "a=1,b=$HOME"})

    assert RUNTIMES["apptainer"].command_line(request).env == {
        "APPTAINERENV_PATH": "/opt/stack/bin",
        "APPTAINERENV_FLAGS": "a=1,b=$HOME",
    }


@pytest.mark.parametrize("name", sorted(NO_GPUS))
def test_gpus_are_not_left_out_in_silence(name: str) -> None:
    with pytest.raises(ValueError, match="no driver for GPUs"):
        RUNTIMES[name].command_line(REQUEST)


def test_only_a_container_with_a_name_is_ended_by_it() -> None:
    named = RUNTIMES["podman"].command_line(replace(REQUEST, name="mine"))

    assert named.kill == ("podman", "rm", "--force", "--ignore", "--time=0", "mine")
    assert RUNTIMES["podman"].command_line(REQUEST).kill == ()


@pytest.mark.parametrize(
    "target", ["/etc", "/var/data", "/var/tmp/x", "/variables", "/opt", "/opt/udiImage/x"]
)
def test_a_place_that_shifter_refuses_is_refused_before(target: str) -> None:
    asked = Request(("true",), mounts=(Mount("/scratch", target),))

    with pytest.raises(ValueError, match=f"Shifter mounts nothing at {target}"):
        RUNTIMES["shifter"].command_line(asked)


def test_a_folder_that_shifter_does_not_show_cannot_be_mounted() -> None:
    asked = Request(("true",), mounts=(Mount("/home/me/data", "/data"),))

    with pytest.raises(ValueError, match="Shifter shows nothing of /home/me/data"):
        RUNTIMES["shifter"].command_line(asked)


def test_what_shifter_shows_in_its_place_is_no_volume() -> None:
    asked = Request(("true",), mounts=(Mount("/scratch/me", "/scratch/me", writable=True),))

    assert not [w for w in RUNTIMES["shifter"].command_line(asked).argv if "--volume" in w]


@pytest.mark.parametrize(
    ("mount", "hides"),
    [
        ("/usr", "/usr"),
        ("/usr/share/site", "/usr"),
        ("/opt/stack/lib", "/opt/stack"),
        ("/opt", "/opt"),
        ("/home", None),
        ("/global/cfs", None),
        ("/opt/cray", None),
        ("/var/run/munge", None),
        ("/tmp/x", None),
    ],
)
def test_a_mount_of_the_site_hides_what_the_image_has_there(
    mount: str, hides: str | None, tmp_path: Path
) -> None:
    for folder in ("usr/share", "opt/stack/lib", "home", "tmp", "var/run"):
        (tmp_path / folder).mkdir(parents=True)

    assert hidden_by(mount, tmp_path) == hides


def test_entries_are_those_of_the_four_folders(tmp_path: Path) -> None:
    for folder in ("usr/bin", "opt/stack", "etc/ssl", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "var").symlink_to("usr")  # followed, it would lead to the host's in a container

    found = entries_of(tmp_path)

    names = (Entry("bin", "usr/bin"), *(Entry(n) for n in ("etc", "opt", "tmp", "usr")))
    assert found["/"] == (*names, Entry("var", "usr"))
    assert (found["/opt"], found["/etc"]) == ((Entry("stack"),), (Entry("ssl"),))
    assert found["/var"] == ()
