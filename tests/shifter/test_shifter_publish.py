"""Published images: only what is released and clean, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import CASES, RELEASE, certificate, job, judgement
from docker_registry import docker_registry, free_address, needs_registry
from release_samples import build, do_release
from shifter_registry import registry_here
from shifter_samples import CLEAN, CONFIG, Item, file, make_layout

from stackwright.certify.artefact import Artefact
from stackwright.cli import main
from stackwright.errors import ExitCode, StackwrightError
from stackwright.shifter import publish
from stackwright.store import Store
from stackwright.tools import shifterimg
from stackwright.tools.process import Runner

LABEL = "pytorch/2.13.0-cpu@local"


def built(store: Store, *items: Item, **config: Any) -> Artefact:
    """An artefact whose image is a real one, clean but for what is added."""
    artefact = build(store, LABEL)
    layout = store.path("steps/image/real/oci")
    digest, described = make_layout(layout, CLEAN, items, config={**CONFIG, **config})
    image = {"digest": digest, "config": described, "oci": "steps/image/real/oci"}
    return artefact.model_copy(update={"image": artefact.image.model_copy(update=image)})


def released(store: Store, artefact: Artefact, issued: timedelta = timedelta(minutes=-10)) -> None:
    """Release it by a certificate that holds for 30 days, as commands go by the machine's clock."""
    begin = datetime.now(timezone.utc).replace(microsecond=0) + issued
    envelope = certificate(artefact, issued=begin, expires=begin + timedelta(days=30))
    do_release(store, artefact, envelope, begin + timedelta(minutes=5))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    (made.root / "keys").mkdir(parents=True)
    (made.root / "keys/release.pub").write_bytes(RELEASE.public.pem)
    return made


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def published(store: Store, *where: str) -> int:
    command = ("publish", "pytorch", "--to", "shifter", *where)
    return main(["--no-color", "--store", str(store.root), *command])


def to_folder(store: Store, images: Path, *more: str) -> int:
    return published(store, "--dir", str(images), *more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_release_is_published_and_users_are_told_how_to_run_it(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact = built(store)
    released(store, artefact)
    name = artefact.image.digest.removeprefix("sha256:")

    assert to_folder(store, images) == 0

    assert names(images) == [f"{name}.meta", f"{name}.squashfs"]
    assert (images / f"{name}.squashfs").read_bytes() == b"hsqstorch"
    assert b"ENV: PYTHONNOUSERSITE=1\n" in (images / f"{name}.meta").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in images.iterdir()} == {0o644}
    assert f"shifter --image=id:{name} -- python" in capsys.readouterr().out


def test_to_publish_again_changes_nothing(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store))
    to_folder(store, images)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in images.iterdir()}
    capsys.readouterr()

    assert to_folder(store, images, "--json") == 0

    after = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in images.iterdir()}
    assert after == before
    said = json.loads(capsys.readouterr().out)
    assert said["changed"] is False
    assert said["image"] == f"id:{said['id']}"


def test_what_is_not_released_is_not_published(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built(store)

    assert to_folder(store, images) == ExitCode.USAGE

    assert "pytorch/2.13.0-cpu@local is not released" in capsys.readouterr().err
    assert names(images) == []


def test_a_release_by_a_key_that_is_not_trusted_is_not_published(
    store: Store, images: Path
) -> None:
    released(store, built(store))
    (store.root / "keys/release.pub").unlink()

    assert to_folder(store, images) != 0

    assert names(images) == []


def test_a_release_whose_certificate_expired_is_not_published(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store), timedelta(days=-31))

    assert to_folder(store, images) == ExitCode.FAIL

    assert "the certificate expired at" in capsys.readouterr().err
    assert names(images) == []


def test_a_release_that_failed_in_a_later_validation_is_not_published(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact = built(store)
    released(store, artefact)
    name = "20990101T000000Z-0a1b2c3d"
    run = store.path(f"runs/{name}")
    run.mkdir(parents=True)
    begun = {"job_id": name, "created": "2099-01-01T00:00:00Z"}
    (run / "job.json").write_text(json.dumps({**json.loads(job(artefact)), **begun}))
    (run / "judgement.json").write_bytes(judgement(artefact, {CASES[0]: "FAIL"}))

    assert to_folder(store, images) == ExitCode.FAIL

    assert "a later validation of the same bytes, is FAIL" in capsys.readouterr().err
    assert names(images) == []


@pytest.mark.parametrize("part", ["squashfs", "image", "prefix"])
def test_bytes_that_changed_since_the_release_are_not_published(
    store: Store, images: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact = built(store)
    released(store, artefact)
    changed = {
        "squashfs": store.path(artefact.squashfs.path),
        "image": store.path(artefact.image.oci) / "blobs/sha256" / artefact.image.config[7:],
        "prefix": store.path(artefact.prefix.path) / "bin/python3.11",
    }[part]
    changed.write_bytes(changed.read_bytes() + b" ")

    assert to_folder(store, images) == ExitCode.INVALID

    assert names(images) == []


def test_an_image_that_shifter_would_change_is_not_published(
    store: Store, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store, file("/tmp/weights")))

    assert to_folder(store, images) == ExitCode.FAIL

    err = capsys.readouterr().err
    assert "SH05, /tmp/weights" in err
    assert f"stackwright lint '{LABEL}' --released" in err
    assert names(images) == []


def test_there_has_to_be_a_folder(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store))

    assert to_folder(store, tmp_path / "typo") == ExitCode.USAGE

    assert "typo' does not exist" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("suffix", ["meta", "squashfs"])
def test_a_link_to_somebodys_file_with_the_right_bytes_is_no_publication(
    store: Store, images: Path, suffix: str, tmp_path: Path
) -> None:
    artefact = built(store)
    released(store, artefact)
    assert to_folder(store, images) == 0
    published = images / f"{artefact.image.digest[7:]}.{suffix}"
    published.rename(tmp_path / "elsewhere")
    published.symlink_to(tmp_path / "elsewhere")

    assert to_folder(store, images) == ExitCode.INVALID


@pytest.mark.parametrize("command", ["publish", "run", "job", "lint"])
def test_what_is_released_for_another_system_is_not_given_out(
    store: Store, images: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store))
    other = "pytorch/2.13.0-cpu@perlmutter-cpu"
    words = {
        "publish": ("--to", "shifter", "--dir", str(images)),
        "run": ("--", "true"),
        "job": ("--", "true"),
        "lint": ("--released",),
    }

    assert main(["--store", str(store.root), command, other, *words[command]]) != 0

    assert f"{other} is not released here: " in capsys.readouterr().err
    assert names(images) == []


@pytest.mark.parametrize("suffix", ["meta", "squashfs"])
def test_another_file_by_the_same_name_is_left_alone(
    store: Store, images: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact = built(store)
    released(store, artefact)
    other = images / f"{artefact.image.digest[7:]}.{suffix}"
    other.write_bytes(b"the gateway's")

    assert to_folder(store, images) == ExitCode.INVALID

    assert "another file has the name of this image" in capsys.readouterr().err
    assert {path.read_bytes() for path in images.iterdir()} == {b"the gateway's"}


def test_what_an_interrupted_call_left_is_completed(store: Store, images: Path) -> None:
    artefact = built(store)
    released(store, artefact)
    to_folder(store, images)
    name = artefact.image.digest[7:]
    whole = {path.name: path.read_bytes() for path in images.iterdir()}
    # Killed between the two renames; and another time while it copied.
    (images / f"{name}.squashfs").rename(images / f"{name}.squashfs.partial")
    (images / f"{name}.meta.partial").write_bytes(b"FORM")

    assert to_folder(store, images) == 0

    assert {path.name: path.read_bytes() for path in images.iterdir()} == whole


def test_an_error_leaves_no_partial_file(
    store: Store, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = built(store)
    released(store, artefact)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        publish.to_folder(artefact, store, images, lambda _more: None)

    assert names(images) == []


def test_the_meta_comes_first_and_a_squashfs_that_is_not_whole_never(
    store: Store, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = built(store)
    seen: list[list[str]] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append(names(images))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    publish.to_folder(artefact, store, images, lambda _more: None)

    name = artefact.image.digest[7:]
    assert seen == [
        [f"{name}.meta.partial", f"{name}.squashfs.partial"],
        [f"{name}.meta", f"{name}.squashfs.partial"],
    ]


def test_a_squashfs_that_changes_while_it_is_copied(store: Store, images: Path) -> None:
    artefact = built(store)
    store.path(artefact.squashfs.path).write_bytes(b"hsqs of another")

    with pytest.raises(StackwrightError, match="not the one that was certified"):
        publish.to_folder(artefact, store, images, lambda _more: None)

    assert names(images) == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "name either --dir or --gateway"),
        (["--dir", ".", "--gateway", "r.org/x"], "name either --dir or --gateway"),
        (["--dir", ".", "--as", "x"], "--as goes with --gateway"),
        (["--gateway", "pytorch"], "'pytorch' is not REGISTRY/NAME"),
        (["--gateway", "r.org/pytorch:1"], "'r.org/pytorch:1' is not REGISTRY/NAME"),
    ],
)
def test_where_to_has_to_be_said(
    store: Store, more: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert published(store, *more) == ExitCode.USAGE
    assert why in capsys.readouterr().err


# by a gateway

SHIFTERIMG = """#!/bin/sh
# As shifterimg 22.02: pull ends with 0 whatever becomes of it.
echo "$@" >>"$FAKE_LOG"
case $1 in
pull) printf '\\r\\033[2K2026-11-20T20:00 Pulling Image: %s, status: %s\\n' "$2" "$FAKE_STATUS" ;;
lookup) [ -n "$FAKE_ID" ] || exit 1; echo "$FAKE_ID" ;;
esac
"""


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin/shifterimg"
    program.parent.mkdir()
    program.write_text(SHIFTERIMG)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("FAKE_STATUS", "READY")
    return tmp_path / "log"


def test_the_gateway_is_believed_by_what_it_looks_up(
    gateway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ID", "ab" * 32)

    assert shifterimg.pull("docker:stacks/x:1", Runner()) == "ab" * 32

    assert gateway.read_text() == "pull docker:stacks/x:1\nlookup docker:stacks/x:1\n"


@pytest.mark.parametrize("said", ["", "ENV: A=b", "no image"])
def test_a_pull_that_fails_and_exits_with_0(
    gateway: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("FAKE_STATUS", "FAILURE")
    monkeypatch.setenv("FAKE_ID", said)

    with pytest.raises(StackwrightError, match=r"pull: 2026-.* status: FAILURE") as refused:
        shifterimg.pull("docker:stacks/x:1", Runner())
    assert refused.value.code == ExitCode.FAIL


@contextmanager
def _docker_registry(folder: Path) -> Iterator[str]:
    with docker_registry(folder, address := free_address()):
        yield address


@pytest.fixture(params=["here", pytest.param("docker-registry", marks=needs_registry)])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A registry on this machine, without encryption; Debian's too, where it is installed."""
    with registry_here() if request.param == "here" else _docker_registry(tmp_path) as address:
        insecure = tmp_path / ".config/containers/registries.conf"
        insecure.parent.mkdir(parents=True)
        insecure.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        monkeypatch.setenv("HOME", str(tmp_path))
        yield address


def to_gateway(store: Store, registry: str, *more: str) -> int:
    return published(store, "--gateway", f"{registry}/stacks/pytorch", *more)


@pytest.mark.real
def test_by_a_registry_with_the_same_digest(
    store: Store,
    registry: str,
    gateway: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    artefact = built(store)
    released(store, artefact)
    monkeypatch.setenv("FAKE_ID", artefact.image.digest[7:])

    assert to_gateway(store, registry, "--as", "stacks/pytorch") == 0

    name = "docker:stacks/pytorch:2.13.0-cpu"
    assert gateway.read_text() == f"pull {name}\nlookup {name}\n"
    assert f"shifter --image={name} -- python" in capsys.readouterr().out
    there = f"docker://{registry}/stacks/pytorch:2.13.0-cpu"
    argv = ["skopeo", "inspect", "--format", "{{.Digest}}", there]
    assert subprocess.check_output(argv, text=True).strip() == artefact.image.digest


@pytest.mark.real
def test_a_gateway_that_has_another_image(
    store: Store,
    registry: str,
    gateway: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    released(store, built(store))
    monkeypatch.setenv("FAKE_ID", "ab" * 32)

    assert to_gateway(store, registry) == ExitCode.INVALID

    name = f"{registry}/stacks/pytorch:2.13.0-cpu"
    assert f"the gateway has {'ab' * 32} as {name}" in capsys.readouterr().err


def test_nothing_is_pushed_that_is_not_clean(
    store: Store, gateway: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(store, built(store, User="ada", Env=["PATH=/bin"]))

    assert to_gateway(store, "127.0.0.1:1") == ExitCode.FAIL

    assert "SH11" in capsys.readouterr().err
    assert not gateway.exists()
