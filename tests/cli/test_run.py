"""Running commands in a stack: what is asked, before any run time is."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.cli import main, run
from stackwright.cli.run import _mount, _request, _variable
from stackwright.errors import StackwrightError
from stackwright.runtimes.containers import Container
from stackwright.runtimes.request import Engine, Mount, Request, Runtime, without_settings
from stackwright.runtimes.rootless import Charliecloud

PODMAN = Container("podman", Engine(("podman",)), "46a1")
CH_RUN = Charliecloud(Engine(("ch-run",)), Path("/s/image.squashfs"), {})


def asked(way: Runtime) -> Request:
    return _request(way, ("true",), (), {}, gpus=False)


@pytest.mark.parametrize(("way", "inside"), [(PODMAN, ""), (CH_RUN, "/tmp")])
def test_the_current_folder_is_seen_where_the_run_time_can_mount(
    way: Runtime, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    request = asked(way)

    assert request.mounts == (Mount(str(tmp_path), f"{inside}{tmp_path}", writable=True),)
    assert request.workdir == f"{inside}{tmp_path}"


def test_a_container_gets_standard_input_also_without_a_terminal() -> None:
    assert "--interactive" in PODMAN.command_line(asked(PODMAN)).argv
    assert "--tty" not in PODMAN.command_line(asked(PODMAN)).argv


def test_a_callers_settings_of_run_times_are_left_out() -> None:
    kept = {"PATH": "/bin", "DOCKER_HOST": "unix:///d.sock", "SLURM_JOB_ID": "7"}
    others = (
        *("APPTAINER_BIND", "APPTAINERENV_LD_PRELOAD", "SINGULARITYENV_PYTHONPATH"),
        *("CONTAINERS_CONF", "SLURM_SPANK_SHIFTER_VOLUME", "SHIFTER_IMAGEREQUEST"),
    )

    assert without_settings({**kept, **dict.fromkeys(others, "x")}) == kept


def test_the_hosts_root_is_never_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")

    request = asked(PODMAN)

    assert (request.mounts, request.workdir) == ((), None)


def test_a_folder_whose_name_separates_fields_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a,readonly=false").mkdir()
    monkeypatch.chdir(tmp_path / "a,readonly=false")

    with pytest.raises(StackwrightError, match="can't mount"):
        asked(PODMAN)


def test_mounts_are_read_only_unless_they_say_so(tmp_path: Path) -> None:
    assert _mount(f"{tmp_path}:/data") == Mount(str(tmp_path), "/data")
    assert _mount(f"{tmp_path}:/data:rw") == Mount(str(tmp_path), "/data", writable=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/no/such/folder:/data", "there is no folder /no/such/folder"),
        ("/etc", "--mount /etc: it is not SOURCE:TARGET"),
        (":/data", "--mount :/data: it is not SOURCE:TARGET"),
        ("/etc/passwd:/x", "/etc/passwd is a file, and only folders can be mounted"),
        ("/etc:/data:ro", "it is read-only unless it ends with :rw"),
        ("/etc:data", "can't mount /etc at data"),
        ("/etc:/a,readonly=false", "can't mount /etc at /a,readonly=false"),
    ],
)
def test_mounts_that_cannot_be_are_refused(text: str, why: str) -> None:
    with pytest.raises(StackwrightError, match=why):
        _mount(text)


@pytest.mark.parametrize(
    "target",
    [
        "/opt/stackwright",
        "/opt",
        "/opt/stackwright/lib",
        "/usr",
        "//usr",
        "/a/../usr/lib",
        "/etc/x",
    ],
)
def test_nothing_is_mounted_over_the_images_own(target: str, tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="it would lie over the image's own"):
        _mount(f"{tmp_path}:{target}")


@pytest.mark.parametrize("target", ["/data", "/tmp", "/home/me", "/opt/data", "/usr/local/src"])
def test_other_places_are_the_users(target: str, tmp_path: Path) -> None:
    assert _mount(f"{tmp_path}:{target}").target == target


@pytest.mark.parametrize("folder", ["/usr", "/opt"])
def test_the_current_folder_hides_nothing_of_the_image(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    with pytest.raises(StackwrightError, match=f"can't mount {folder} at {folder}: it would lie"):
        asked(PODMAN)
    assert asked(CH_RUN).workdir == f"/tmp{folder}"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("/x", "--mount /x:/data, or with :rw to write to it"),
        ("", "--mount /data/imagenet:/data, or with :rw to write to it"),
        ("/x:/data:ro", "--mount /x:/data"),
        ("/etc/passwd:/x", "its folder, to somewhere of your own: --mount /etc:/data"),
    ],
)
def test_a_mount_that_is_refused_says_what_to_type(text: str, hint: str) -> None:
    with pytest.raises(StackwrightError) as refused:
        _mount(text)

    assert refused.value.hint == hint


def test_a_variable_may_be_empty_and_hold_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "here")

    assert _variable("A=") == ("A", "")
    assert _variable("A=b=c") == ("A", "b=c")
    assert _variable("A") == ("A", "here")


@pytest.mark.parametrize(
    ("text", "hint"),
    [("NOT_SET", "--env NOT_SET=VALUE"), ("=1", "--env NAME=VALUE, or NAME as it is here")],
)
def test_a_variable_that_says_nothing_is_refused(text: str, hint: str) -> None:
    with pytest.raises(StackwrightError) as refused:
        _variable(text)

    assert refused.value.hint == hint


@pytest.mark.parametrize("option", [("--mount", "/no/such:/data"), ("--env", "=1")])
def test_options_are_looked_at_before_the_stack_is(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--store", str(tmp_path), "run", "pytorch", *option, "--", "python"]) == 2

    assert f"{option[0]} {option[1]}: " in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_what_is_not_released_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--store", str(tmp_path / "store"), "run", "pytorch", "--", "python"])

    assert code != 0
    said = capsys.readouterr().err
    assert "pytorch/2.13.0-cpu@local is not released" in said
    assert "--built" in said


@pytest.mark.parametrize(
    ("device", "option", "why"),
    [
        ("/dev/no-such-device", (), "--gpus: this machine shows no GPUs"),
        ("/dev/null", (), "shifter is not installed"),
        ("/dev/no-such-device", ("--dry-run",), "shifter is not installed"),
    ],
)
def test_gpus_are_looked_for_before_a_run_time_is_asked(
    device: str,
    option: tuple[str, ...],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "_released", lambda _shop: None)
    monkeypatch.setattr(run, "_NVIDIA", (device,))
    monkeypatch.setenv("PATH", "/nowhere")
    label = "pytorch/2.13.0-cuda@perlmutter-gpu"
    words = ("run", label, "--gpus", "--runtime", "shifter", *option, "--", "python")

    code = main(["--store", str(tmp_path / "store"), *words])

    assert code != 0
    assert why in capsys.readouterr().err


def test_gpus_of_a_system_without_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_released", lambda _shop: None)

    code = main(["--store", str(tmp_path / "store"), "run", "pytorch", "--gpus", "--", "python"])

    said = capsys.readouterr().err
    assert code != 0
    assert "--gpus: 'local' has no GPUs" in said
    assert "systems/local.yaml" in said
