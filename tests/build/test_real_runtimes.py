"""The same stack, certified by what ran under other run times than podman and docker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY
from real_samples import Mini, patched_environment, run_cli

from stackwright.cli import main
from stackwright.inputs.site import Site
from stackwright.store import Store

QUOTES = 'it\'s "quoted" $HOME `id` \\ and -- done'  # as in tests/build/mini/stacks
CASES = REPOSITORY / "tests" / "walkthrough" / "site"
PROGRAMS = {
    "bubblewrap": "bwrap",
    "charliecloud": "ch-run",
    "podman-hpc": "podman-hpc",
    "apptainer": "apptainer",
}

pytestmark = pytest.mark.real


@pytest.fixture(
    params=[
        "bubblewrap",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("charliecloud", "podman-hpc", "apptainer")
        ),
    ]
)
def runtime(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(PROGRAMS[name]) is None:
        pytest.skip(f"{PROGRAMS[name]} is not on PATH")
    return name


@pytest.fixture
def built(mini: Mini, runtime: str, tmp_path: Path) -> Mini:
    """The small stack in a store of its own, and what podman-hpc needs to find its images."""
    site, store = tmp_path / "site", tmp_path / "store"
    shutil.copytree(mini.site.root, site)
    shutil.copytree(REPOSITORY / "validation" / "probes", site / "validation" / "probes")
    shutil.copytree(CASES, site, dirs_exist_ok=True)
    subprocess.run(["cp", "-al", mini.store.root, store], check=True)
    own = {"STACKWRIGHT_STORE": str(store), "SQUASH_DIR": str(tmp_path / "squash")}
    user = {"USER": os.environ.get("USER", "root")}
    return Mini(Site(site), Store(store), mini.artefact, {**mini.environment, **own, **user})


def test_a_stack_is_certified_by_what_ran_under_it(
    built: Mini, runtime: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = ("--site", str(built.site.root))
    commands = (
        ("validate", LABEL, "--runtime", runtime),
        ("keys", "create", "release"),
        ("certify", LABEL),
        ("release", LABEL),
    )

    for command in commands:
        run_cli(*site, *command, environment=built.environment)

    said = capsys.readouterr().err
    assert "hashing image, squashfs and prefix of " in said
    assert "comparing the image with its squashfs and prefix ..." in said  # the longest of certify
    (job,) = (built.store.root / "runs").glob("*/job.json")
    asked = json.loads(job.read_bytes())
    assert asked["runtime"] == runtime
    argv = {Path(case["argv"]["candidate"][0]).name for case in asked["cases"]}
    assert argv <= {PROGRAMS[runtime], "bash"}  # bash: what is reached by the module


def test_a_command_gets_its_words_variables_and_folder_as_they_are(
    built: Mini, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = 'a=1,b="$HOME" `id` \\'
    code = "import json, os, sys; json.dump([dict(os.environ), sys.argv], open('said', 'w'))"

    run_cli(
        *("--site", str(built.site.root), "run", LABEL, "--built", "--runtime", runtime),
        *("--env", f"FLAGS={flags}", "--", "python3", "-c", code, flags, "it's"),
        environment=built.environment,
    )

    variables, argv = json.loads((tmp_path / "said").read_text())
    assert (variables["FLAGS"], variables["MINI_QUOTES"]) == (flags, QUOTES)
    assert argv == ["-c", flags, "it's"]


def test_a_run_time_that_is_not_installed_is_named(
    mini: Mini, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with patched_environment(mini.environment):
        code = main(
            [
                *("--site", str(mini.site.root), "run", LABEL, "--built"),
                *("--runtime", "apptainer", "--", "true"),
            ]
        )

    assert code != 0
    assert "apptainer is not installed" in capsys.readouterr().err
