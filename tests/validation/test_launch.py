"""Command lines of every channel and launcher: whole golden texts, and the real tools.

A golden file shows one Launch. To accept a deliberate change, delete the file and run the test
twice: the first run writes it and fails, so that a missing file never passes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stackwright.batch.srun import spread
from stackwright.runtimes.containers import Container
from stackwright.runtimes.request import CommandLine, Engine
from stackwright.runtimes.rootless import Charliecloud
from stackwright.runtimes.shifter import Bubblewrap, Entry, entries_of
from stackwright.threads import THREADS
from stackwright.validation.launch import (
    Channel,
    Image,
    Launcher,
    Module,
    Nodes,
    Program,
    here,
    launch,
)

GOLDEN = Path(__file__).parent / "golden_launch"
NODES = Nodes(("nid0001", "nid0002"), cores=4)
PAYLOAD = Path("/store/payload")
IMAGE = "sha256:46a13a1cfac9f99de31651f7e223ba29b0799f73c8acb3e1c12f8188f114faaa"
IMAGE_ENV = {"PATH": "/opt/stack/bin:/usr/bin:/bin"}

CHANNELS: dict[str, Channel] = {
    "podman": Image(
        Container(
            "podman",
            Engine(
                ("podman", "--runtime", "runc"), env={"CONTAINERS_CONF": "/store/containers.conf"}
            ),
            IMAGE,
        )
    ),
    "docker": Image(
        Container(
            "docker",
            Engine(("docker", "--host=unix:///run/d.sock"), ("--network=none", "--ulimit=core=0")),
            IMAGE,
        )
    ),
    "charliecloud": Image(
        Charliecloud(Engine(("ch-run",)), Path("/store/image.squashfs"), IMAGE_ENV)
    ),
    "bubblewrap": Image(
        Bubblewrap(
            Engine(("bwrap",), ("--unshare-ipc",)),
            Path("/store/root"),
            IMAGE_ENV,
            {"/": (Entry("usr"),), "/opt": (Entry("stack"),)},
        )
    ),
    "module": Module(Path("/lmod/init/bash"), Path("/store/live/modules"), "pytorch/2.13.0-cpu"),
}
OPEN_MPI = Image(
    Charliecloud(Engine(("ch-run",)), Path("/store/image.squashfs"), IMAGE_ENV), "openmpi"
)


def program(launcher: Launcher = "none", ranks: int = 1) -> Program:
    return Program("cases/gradients.py", ("--steps", "a b"), launcher, ranks, 2, 120)


def rendered(built: CommandLine) -> str:
    """One word a line, as JSON strings, so that a space inside of a word shows."""
    words = ["argv:", *map(json.dumps, built.argv), "kill:", *map(json.dumps, built.kill), "env:"]
    return "\n".join([*words, *(json.dumps(f"{k}={v}") for k, v in built.env.items())]) + "\n"


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("launcher", "ranks"),
    [("none", 1), *((name, 2) for name in ("torchrun", "mpirun", "horovodrun", "horovodrun-gloo"))],
)
def test_the_command_line_is_the_golden_one(channel: str, launcher: Launcher, ranks: int) -> None:
    text = rendered(launch(program(launcher, ranks), CHANNELS[channel], PAYLOAD))

    compare(text, GOLDEN / f"{channel}-{launcher}.txt")


@pytest.mark.parametrize("channel", ["charliecloud", "module"])
@pytest.mark.parametrize(
    ("launcher", "ranks"), [("none", 1), ("torchrun", 4), ("mpirun", 2), ("horovodrun", 2)]
)
def test_over_nodes_srun_starts_the_run_time(channel: str, launcher: Launcher, ranks: int) -> None:
    text = rendered(launch(program(launcher, ranks), CHANNELS[channel], PAYLOAD, NODES))

    compare(text, GOLDEN / f"srun-{channel}-{launcher}.txt")


def test_over_nodes_open_mpi_meets_by_pmix() -> None:
    text = rendered(launch(program("mpirun", 2), OPEN_MPI, PAYLOAD, NODES))

    compare(text, GOLDEN / "srun-charliecloud-openmpi.txt")


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_what_srun_could_not_end_on_other_nodes_is_not_started_by_it(engine: str) -> None:
    with pytest.raises(ValueError, match=f"containers of {engine} outlive the process"):
        launch(program(), CHANNELS[engine], PAYLOAD, NODES)


def test_what_only_horovodruns_own_server_could_tell_is_not_started_by_srun() -> None:
    with pytest.raises(ValueError, match="not by srun; use horovodrun"):
        launch(program("horovodrun-gloo", 2), CHANNELS["module"], PAYLOAD, NODES)


@pytest.mark.parametrize(
    ("ranks", "nodes", "used"), [(1, 2, 1), (2, 2, 2), (4, 2, 2), (3, 2, 1), (6, 4, 3), (2, 1, 1)]
)
def test_every_node_has_as_many_ranks(ranks: int, nodes: int, used: int) -> None:
    assert spread(ranks, nodes) == used


def compare(text: str, golden: Path) -> None:
    if not golden.exists():
        golden.write_text(text)
        pytest.fail(f"{golden.name} was missing and has been written: review it and run again")
    assert text == golden.read_text()


def test_every_golden_file_is_compared() -> None:
    launchers = ("none", "torchrun", "mpirun", "horovodrun")
    expected = {f"{c}-{x}.txt" for c in CHANNELS for x in (*launchers, "horovodrun-gloo")}
    expected |= {f"srun-{c}-{x}.txt" for c in ("charliecloud", "module") for x in launchers}
    expected.add("srun-charliecloud-openmpi.txt")
    assert {path.name for path in GOLDEN.iterdir()} == expected


def test_the_engines_own_options_replace_the_defaults() -> None:
    argv = launch(program(), CHANNELS["docker"], PAYLOAD).argv

    assert "--network=none" in argv
    assert "--network=host" not in argv
    assert "--shm-size=1g" in argv


def test_nothing_of_the_callers_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: launch(program(), channel, PAYLOAD) for name, channel in CHANNELS.items()}
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("PATH", "/decoy")

    after = {name: launch(program(), channel, PAYLOAD) for name, channel in CHANNELS.items()}

    assert after == before


@pytest.mark.parametrize(
    ("asked", "payload", "why"),
    [
        (program("none", 2), PAYLOAD, "2 ranks need a launcher; use torchrun"),
        (program("torchrun", 0), PAYLOAD, "ranks and threads must be at least 1"),
        (program(), Path("payload"), "mounts need an absolute path"),
        (program(), Path("/a:ro"), "without colon, comma or quote"),
        (program(), Path("/a,readonly=false"), "without colon, comma or quote"),
    ],
)
def test_what_cannot_be_launched_is_refused(asked: Program, payload: Path, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        launch(asked, CHANNELS["podman"], payload)


# The real tools


def execute(built: CommandLine, out: Path) -> subprocess.CompletedProcess[str]:
    """What the driver does: fill in, and run in the exact environment."""
    values = {
        "@OUT@": str(out),
        "@NAME@": "stackwright-test",
        "@NONCE@": "00ff",
        "@STARTED@": "1.5",
    }

    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    env |= {key: fill(value) for key, value in built.env.items()}
    argv = [fill(word) for word in built.argv]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


SCRIPT = """#!/bin/sh
env
echo "arguments: $*"
echo seen > "$STACKWRIGHT_OUT/rank-0.jsonl"
"""


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    folder = tmp_path / "payload"
    (folder / "cases").mkdir(parents=True)
    (folder / "cases/gradients.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder in which `python` is a shell: what is tested is how it is reached."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs a static busybox: apt-get install busybox-static")
    folder = tmp_path / "root"
    for name in ("bin", "dev", "etc", "home", "proc", "sys", "tmp", "opt/stack/bin", "usr/bin"):
        (folder / name).mkdir(parents=True)
    for name in ("hosts", "passwd", "group", "resolv.conf"):
        (folder / "etc" / name).touch()
    shutil.copy(busybox, folder / "bin/busybox")
    for applet in ("sh", "env", "cat"):
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "opt/stack/bin/python").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    (folder / "opt/stack/bin/python").chmod(0o755)
    return folder


def needs(tool: str, package: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}: apt-get install {package}")


def assert_ran(done: subprocess.CompletedProcess[str], out: Path) -> set[str]:
    assert done.returncode == 0, done.stderr
    assert (out / "rank-0.jsonl").read_text() == "seen\n"
    lines = set(done.stdout.splitlines())
    assert {"arguments: --steps a b", "OMP_NUM_THREADS=2", "STACKWRIGHT_NONCE=00ff"} <= lines
    return {line.partition("=")[0] for line in lines if "=" in line}


INSIDE = {
    *(*THREADS, "PYTHONDONTWRITEBYTECODE", "PATH", "HOME", "PWD"),
    *("STACKWRIGHT_OUT", "STACKWRIGHT_NONCE", "STACKWRIGHT_TIMEOUT_S", "STACKWRIGHT_RUN"),
    *("STACKWRIGHT_STARTED", "STACKWRIGHT_ROOFLINE", "SHLVL"),
}


@pytest.mark.real
def test_charliecloud_runs_the_payload(root: Path, payload: Path, out: Path) -> None:
    needs("ch-run", "charliecloud")

    done = execute(
        launch(program(), Image(Charliecloud(Engine(("ch-run",)), root, IMAGE_ENV)), payload),
        out,
    )

    assert assert_ran(done, out) <= INSIDE | {"CH_RUNNING"}


@pytest.mark.real
def test_charliecloud_runs_the_payload_from_a_squashfs(
    root: Path, payload: Path, out: Path, tmp_path: Path
) -> None:
    needs("ch-run", "charliecloud")
    needs("mksquashfs", "squashfs-tools")
    image = tmp_path / "image.squashfs"
    subprocess.run(["mksquashfs", root, image, "-quiet", "-no-progress"], check=True)
    mount = tmp_path / "mount"
    mount.mkdir()
    engine = Engine(("ch-run",), (f"--mount={mount}",))

    done = execute(launch(program(), Image(Charliecloud(engine, image, IMAGE_ENV)), payload), out)

    assert_ran(done, out)


@pytest.mark.real
def test_bubblewrap_runs_the_payload(root: Path, payload: Path, out: Path) -> None:
    needs("bwrap", "bubblewrap")

    done = execute(
        launch(
            program(),
            Image(Bubblewrap(Engine(("bwrap",)), root, IMAGE_ENV, entries_of(root))),
            payload,
        ),
        out,
    )

    assert assert_ran(done, out) <= INSIDE


LMOD_INIT = Path("/usr/share/lmod/lmod/init/bash")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A module that puts a `python` first on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    (tmp_path / "bin/python").chmod(0o755)
    modulefile = tmp_path / "modules/demo/1.0.lua"
    modulefile.parent.mkdir(parents=True)
    modulefile.write_text(f'prepend_path("PATH", "{tmp_path}/bin")\nsetenv("DEMO_LOADED", "1.0")\n')
    return tmp_path / "modules"


@pytest.mark.real
@pytest.mark.skipif(not LMOD_INIT.exists(), reason="needs Lmod: apt-get install lmod")
def test_the_module_is_loaded_before_the_payload(tree: Path, payload: Path, out: Path) -> None:
    done = execute(launch(program(), Module(LMOD_INIT, tree, "demo/1.0"), payload), out)

    assert "DEMO_LOADED" in assert_ran(done, out)


@pytest.mark.real
@pytest.mark.skipif(not LMOD_INIT.exists(), reason="needs Lmod: apt-get install lmod")
@pytest.mark.parametrize(
    ("init", "name"), [(LMOD_INIT, "demo/2.0"), (Path("/no/lmod"), "demo/1.0")]
)
def test_the_host_is_never_measured_in_place_of_a_module(
    tree: Path, payload: Path, out: Path, init: Path, name: str
) -> None:
    done = execute(launch(program(), Module(init, tree, name), payload), out)

    assert done.returncode != 0
    assert list(out.iterdir()) == []


def test_ranks_are_started_by_the_launcher_of_the_stack() -> None:
    assert here(program("mpirun", 4)).inside == ("mpiexec", "-n", "4", "python")
    assert "--nproc-per-node=4" in here(program("torchrun", 4)).inside
