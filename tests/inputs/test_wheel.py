"""What a centre gets by `pip install stackwright && stackwright init mysite`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked as pip would; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True)
    (wheel,) = folder.glob("stackwright-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def stackwright(installed: Path, *argv: str, cwd: Path) -> str:
    return run(installed, *argv, cwd=cwd).stdout


def run(installed: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "HOME")}
    return subprocess.run(
        [sys.executable, "-m", "stackwright", *argv],
        env={**env, "PYTHONPATH": str(installed), "STACKWRIGHT_STORE": str(cwd / "store")},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.real
def test_the_wheel_gives_a_site_that_plans_as_the_checkout_does(
    installed: Path, tmp_path: Path
) -> None:
    stackwright(installed, "init", "mysite", cwd=tmp_path)
    assert (tmp_path / "mysite/README.md").is_file()
    assert (tmp_path / "mysite/docs/schemas/stack.json").is_file()
    assert (tmp_path / "mysite/examples/train.py").is_file()
    label = "pytorch/2.13.0-cpu@local"
    own = stackwright(installed, "plan", label, "--json", cwd=tmp_path / "mysite")
    ours = stackwright(installed, "--site", str(ROOT), "plan", label, "--json", cwd=tmp_path)
    assert own == ours


@pytest.mark.real
def test_who_stands_in_no_site_is_told_what_is_read(installed: Path, tmp_path: Path) -> None:
    elsewhere = run(installed, "list", cwd=tmp_path)
    stackwright(installed, "init", "mysite", cwd=tmp_path)
    inside = run(installed, "list", cwd=tmp_path / "mysite")
    assert elsewhere.stderr.startswith("note: no site here, so what ships with Stackwright is read")
    assert inside.stdout == elsewhere.stdout
    assert "no site" not in inside.stderr


@pytest.mark.real
def test_the_wheel_holds_the_types_and_the_templates(installed: Path) -> None:
    assert (installed / "stackwright/py.typed").is_file()
    assert list((installed / "stackwright/report/templates").glob("*.j2"))
