"""Layers and the prefix that is made of them, without a container: what they hold, what is refused.

The whole of it, in containers, is in test_real_build.py.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stackwright.building.providers.steps import variable

IMAGES = Path(__file__).parents[2] / "images"
CASES = Path(__file__).parents[2] / "validation" / "cases"
PACKAGES = "lib/python3.11/dist-packages"
SETTINGS = "LABEL=mini\nPLAN_HASH=sha256:0\nLAYERS='python torch-cpu packages'\n"


@pytest.fixture
def layer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layer", IMAGES / "layer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_group_without_wheels_is_an_empty_layer(
    layer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack may have no packages beside its frameworks."""
    package = tmp_path / "tools" / "installer-1-py3-none-any.whl" / "installer"
    package.mkdir(parents=True)
    for name, what in (
        ("__init__", "install"),
        ("destinations", "SchemeDictionaryDestination"),
        ("sources", "WheelFile"),
    ):
        (package / f"{name}.py").write_text(f"{what} = dict\n")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path])
    out = tmp_path / "out" / "tree"

    layer.build_wheels_layer(out, tmp_path / "tools", wheels)
    layer.finish(out)

    assert list(out.iterdir()) == []
    assert out.stat().st_mode & 0o777 == 0o755


def make_prefix(
    folder: Path, overlay: dict[str, str], links: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run prefix.sh on three small layers and an overlay."""
    recipe, out = folder / "recipe", folder / "out"
    files = {f"recipe/overlay/{name}": text for name, text in overlay.items()}
    files |= {f"recipe/{name}": "{}" for name in ("plan.json", "lock.json", "kernel.json")}
    files |= {"recipe/module.lua": "", "recipe/settings.sh": SETTINGS}
    files |= {
        "python/tree/bin/python3": "python",
        f"torch-cpu/tree/{PACKAGES}/torch/data.py": "honest = True\n",
        f"packages/tree/{PACKAGES}/numpy.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in (links or {}).items():
        (folder / "packages/tree" / name).symlink_to(target)
    out.mkdir()
    own = (IMAGES / name for name in ("common.sh", "layers.sh", "manifest.py"))
    for source in (*own, CASES / "tree_hash.py"):
        (recipe / source.name).write_bytes(source.read_bytes())
    layers = {
        f"IN_{variable(name).upper()}": folder / name
        for name in ("python", "torch-cpu", "packages")
    }
    return subprocess.run(
        ["sh", IMAGES / "steps" / "prefix.sh"],
        env={"PATH": "/usr/bin:/bin", "RECIPE": recipe, "OUT": out, **layers},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_overlay_adds_files(tmp_path: Path) -> None:
    done = make_prefix(tmp_path, {f"{PACKAGES}/torch/more.py": "more", "etc/site.toml": ""})

    assert done.returncode == 0, done.stderr
    for tree in ("own", "prefix"):
        assert (tmp_path / "out" / tree / PACKAGES / "torch/more.py").read_text() == "more"
    assert (tmp_path / "out/prefix" / PACKAGES / "torch/data.py").read_text() == "honest = True\n"


def test_no_prefix_is_made_with_a_link_out_of_it(tmp_path: Path) -> None:
    done = make_prefix(tmp_path, {}, {"leak": "/etc/shadow"})

    assert done.returncode == 1
    assert done.stderr == ("manifest.py: the link leak leads out of the prefix, to /etc/shadow\n")
    assert not (tmp_path / "out/prefix/share/stackwright/manifest.json").exists()


@pytest.mark.parametrize("name", ["bin/python3", f"{PACKAGES}/torch/data.py", f"{PACKAGES}/torch"])
def test_an_overlay_replaces_no_file_of_a_layer(tmp_path: Path, name: str) -> None:
    done = make_prefix(tmp_path, {name: "mine"})

    assert done.returncode == 1
    assert done.stderr == (
        f"prefix.sh: the overlay holds {name}, as a layer does: an overlay only adds files\n"
    )
    assert (tmp_path / "python/tree/bin/python3").read_text() == "python"
