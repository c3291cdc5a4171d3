"""The docker engine against a daemon of our own: builds, validation, tags."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY
from real_samples import Mini, run, run_cli

from stackwright.store import Store, remove_tree

CASES = REPOSITORY / "tests" / "walkthrough" / "site"
START_S = 60

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A docker daemon without bridge and firewall rules; ended by its PID."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("needs root and dockerd: apt-get install docker.io")
    folder = tmp_path_factory.mktemp("docker")
    address = f"unix://{folder}/s"
    argv = [
        *("dockerd", "--host", address, "--pidfile", str(folder / "pid")),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            _wait(process, address, folder / "log")
            yield {"DOCKER_HOST": address}
        finally:
            process.terminate()
            process.wait(timeout=START_S)
    namespace = folder / "exec" / "netns" / "default"
    subprocess.run(["umount", namespace], capture_output=True, check=False)
    remove_tree(folder)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    command = ["docker", "--host", address, "version"]
    deadline = time.monotonic() + START_S
    while subprocess.run(command, capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.skip(f"dockerd does not start here: {log.read_text()[-400:]}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def built(mini: Mini, daemon: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """The small stack, built by docker from the downloads of podman's build."""
    folder = tmp_path_factory.mktemp("by-docker")
    site, store = folder / "site", folder / "store"
    shutil.copytree(mini.site.root, site)
    shutil.copytree(REPOSITORY / "validation" / "probes", site / "validation" / "probes")
    shutil.copytree(CASES, site, dirs_exist_ok=True)
    system = site / "systems" / "bench.yaml"
    system.write_text(system.read_text().replace("[podman]", "[docker]"))
    for step in ("base", "tools-wheels", "numpy-wheels", "packages-wheels"):
        (store / "steps").mkdir(parents=True, exist_ok=True)
        run("cp", "-al", mini.store.root / "steps" / step, store / "steps" / step)
    environment = {**daemon, "STACKWRIGHT_STORE": str(store)}
    run_cli("--site", str(site), "build", LABEL, "--engine", "docker", environment=environment)
    (record,) = (store / "artefacts").glob("*.json")
    return Mini(type(mini.site)(site), Store(store), json.loads(record.read_text()), environment)


def test_docker_builds_what_podman_builds(mini: Mini, built: Mini) -> None:
    assert built.artefact["prefix"]["digest"] == mini.artefact["prefix"]["digest"]
    assert built.artefact["squashfs"]["digest"] == mini.artefact["squashfs"]["digest"]


@pytest.mark.long
def test_what_docker_built_is_validated_certified_and_released_in_docker(
    built: Mini, daemon: dict[str, str]
) -> None:
    site = ("--site", str(built.site.root))
    for command in (
        ("validate", LABEL, "--runtime", "docker"),
        ("keys", "create", "release"),
        ("certify", LABEL),
    ):
        run_cli(*site, *command, environment=built.environment)

    run_cli(*site, "release", LABEL, environment=built.environment)

    found = run(
        "docker",
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        "localhost/mini:1.0-cpu",
        env={**os.environ, **daemon},
    )
    assert found.strip() == built.artefact["image"]["config"]
