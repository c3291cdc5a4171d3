"""What an interrupted step leaves in an engine's storage goes, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from build_samples import LABEL
from real_samples import Mini, run

from stackwright.building.leftovers import marked, remove_dead
from stackwright.errors import StackwrightError
from stackwright.store import Store
from stackwright.tools.engines import BuildEngine
from stackwright.tools.process import Runner, ToolError

FAKE = """#!/bin/sh
# Keeps containers as podman does: a record of those that build, a line for each that runs.
echo "$*" >>"{root}/calls"
case $1 in
info) echo {root} ;;
ps) cat {root}/running ;;
rm) for id do :; done
    rm -rf "{root}/overlay-containers/$id"
    sed -i "/^$id /d" {root}/running ;;
run) echo "r1 ${{2#--label=stackwright.try=}}" >>{root}/running; exit 137 ;;
esac
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The storage of an engine that is called podman."""
    root, programs = tmp_path / "storage", tmp_path / "bin"
    root.mkdir()
    programs.mkdir()
    (root / "running").touch()
    (programs / "podman").write_text(FAKE.format(root=root))
    (programs / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


PODMAN = BuildEngine("podman", "podman 4.3.1", {}, "")


def working(root: Path, name: str, *volumes: str) -> None:
    """A working container, as buildah records it."""
    folder = root / "overlay-containers" / name / "userdata"
    folder.mkdir(parents=True)
    record = {"CommonBuildOpts": {"Volumes": list(volumes)}}
    (folder / "buildah.json").write_text(json.dumps(record))


def left(root: Path) -> set[str]:
    building = {path.name for path in root.glob("overlay-containers/*")}
    return building | {line.split()[0] for line in (root / "running").read_text().splitlines()}


def trying(folder: Path) -> str:
    return f"{folder}:/stackwright/try:ro"


def test_a_step_marks_what_it_makes(root: Path, tmp_path: Path) -> None:
    with marked(PODMAN, tmp_path, Runner()) as env:
        for words in (("build", "-t", "x y", "."), ("image", "inspect", "x")):
            Runner().run(["sh", "-c", 'podman "$@"', "sh", *words], env={**os.environ, **env})

    assert (root / "calls").read_text().splitlines() == [
        f"build --volume={tmp_path}:/stackwright/try:ro -t x y .",
        "image inspect x",
    ]


def test_what_a_failed_step_left_is_removed_and_others_stay(root: Path, store: Store) -> None:
    folder = store.path("work/image-abc.1")
    working(root, "ours", trying(folder))
    working(root, "another-try", trying(store.path("work/image-abc.2")))
    working(root, "somebodys")
    working(root, "with-a-volume", "/data:/data:ro")

    def fail() -> None:
        with marked(PODMAN, folder, Runner()) as env:
            Runner().run(["sh", "-c", "podman run x"], env={**os.environ, **env})

    with pytest.raises(ToolError, match="exit code 137"):
        fail()

    assert left(root) == {"another-try", "somebodys", "with-a-volume"}


def test_an_error_of_the_step_is_not_hidden_by_one_of_the_engine(
    root: Path, tmp_path: Path
) -> None:
    (root.parent / "bin/podman").write_text("#!/bin/sh\nexit 125\n")
    with pytest.raises(KeyboardInterrupt), marked(PODMAN, tmp_path, Runner()):
        raise KeyboardInterrupt


def test_the_next_build_removes_what_killed_ones_left(
    root: Path, store: Store, tmp_path: Path
) -> None:
    """A step that somebody is just doing holds its lock; another store's is not ours to judge."""
    working(root, "killed", trying(store.path("work/image-abc.1")))
    working(root, "going-on", trying(store.path("work/image-def.1")))
    working(root, "other-store", trying(Store(tmp_path / "other").path("work/image-abc.1")))
    (root / "overlay-containers/half-written/userdata").mkdir(parents=True)
    (root / "overlay-containers/half-written/userdata/buildah.json").write_text('{"Comm')
    (root / "running").write_text(f"runs {store.path('work/layer-abc.7')}\n")

    with store.lock("image-def"):
        remove_dead(PODMAN, store, Runner())

    assert left(root) == {"going-on", "other-store", "half-written"}


def test_an_engine_that_went_away_meanwhile(tmp_path: Path) -> None:
    engine = BuildEngine("buildah", "", {}, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(StackwrightError, match="cannot run buildah"):
            marked(engine, tmp_path, Runner()).__enter__()


@pytest.mark.real
def test_an_interrupted_real_build_leaves_nothing(mini: Mini, tmp_path: Path) -> None:
    """Stopped while podman copies files into the image; somebody else's container stays."""
    site = tmp_path / "site"
    run("cp", "-a", mini.site.root, site)
    with (site / "stacks/overlays/mini/large").open("wb") as file:
        file.truncate(300_000_000)
    store = tmp_path / "store"
    run("cp", "-al", mini.store.root, store)
    env = {**os.environ, **mini.environment, "STACKWRIGHT_STORE": str(store)}
    image = mini.artefact["image"]["config"].removeprefix("sha256:")
    layout = f"oci:{mini.layout}:image"
    run("skopeo", "copy", "-q", layout, "containers-storage:localhost/mine", env=env)
    run("buildah", "from", "--name", "mine-working-container", image, env=env)

    def containers() -> list[str]:
        return run("buildah", "containers", "--format", "{{.ContainerName}}", env=env).split()

    argv = [sys.executable, "-m", "stackwright", "--site", site, "build", LABEL]
    build = subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)
    while containers() == ["mine-working-container"]:
        assert build.poll() is None
        time.sleep(0.05)
    build.send_signal(signal.SIGTERM)
    _, err = build.communicate(timeout=60)

    assert build.returncode == 130
    assert f"to go on: stackwright build '{LABEL}'" in err
    assert containers() == ["mine-working-container"]
    run("buildah", "rm", "mine-working-container", env=env)
