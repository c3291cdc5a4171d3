"""What is built from sources: what decides on it, what is refused, and what the build may see.

That it compiles in a container, to the same bytes each time, is in test_real_sources.py.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from build_samples import LABEL, make_site
from source_samples import FILES, PATCH, add_source, rendered, write_sdist

from stackwright.building.providers.steps import Recipe, step_keys
from stackwright.errors import ManyErrors, StackwrightError
from stackwright.fit import misfits
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.solve import _find_sdist
from stackwright.plans.plan import resolve
from stackwright.tools.process import Runner

IMAGES = Path(__file__).parents[2] / "images"


@pytest.fixture
def sourced(site: Site) -> Site:
    return add_source(site.root)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script that builds in the container, working in a folder of the test."""
    monkeypatch.syspath_prepend(str(IMAGES))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("source", IMAGES / "source.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, folder in (("WORK", "work"), ("SOURCES", "work/sources")):
        monkeypatch.setattr(module, name, tmp_path / folder)
    (tmp_path / "work").mkdir()
    return module


def edit(site: Site, file: str, old: str, new: str) -> Site:
    path = site.root / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return Site(site.root)


def changed(before: Recipe, after: Recipe) -> set[str]:
    one, other = step_keys(before, "podman"), step_keys(after, "podman")
    return {name for name in one if one[name] != other[name]}


# What decides


def test_a_source_is_built_once_and_becomes_a_layer(sourced: Site) -> None:
    recipe = rendered(sourced)
    steps = [step.name for step in recipe.steps]
    built = [
        name for name in steps if name.startswith("tiny") or name in ("toolchain", "build-wheels")
    ]

    assert built == ["toolchain", "build-wheels", "tiny-sdist", "tiny-wheels", "tiny"]
    assert recipe.settings["LAYERS"] == "'python numpy packages tiny'"
    assert b"COPY tiny /opt/stackwright" in recipe.files["Containerfile"]


def test_a_build_is_told_what_the_stack_has_beside(sourced: Site) -> None:
    told = json.loads(rendered(sourced).files["sources/tiny/build.json"])

    assert told["environment"] == {"TINY_NUMBER": "42", "TINY_NUMPY": "1", "TINY_TORCH": "0"}
    assert told["needs"] == ["packaging"]


AFTER = {"tiny-wheels", "tiny", "prefix", "image", "squashfs"}


@pytest.mark.parametrize(
    ("file", "old", "new", "steps"),
    [
        ("recipes/patches/tiny/0001-number.patch", "NUMBER 42", "NUMBER 43", AFTER),
        ("recipes/sources/tiny.yaml", 'TINY_NUMBER: "42"', 'TINY_NUMBER: "43"', AFTER),
        ("recipes/sources/tiny.yaml", "[gcc, ", "[gcc, make, ", AFTER | {"toolchain"}),
        ("systems/bench.yaml", "target: x86_64,", "target: zen3,", AFTER),
        ("stacks/mini.yaml", "mpi4py==4.1.2, ", "", {"prefix", "image", "squashfs"}),
    ],
)
def test_what_has_a_source_built_again(
    sourced: Site, file: str, old: str, new: str, steps: set[str]
) -> None:
    before = rendered(sourced)

    assert changed(before, rendered(edit(sourced, file, old, new))) == steps


def test_every_target_has_its_own_instructions(sourced: Site) -> None:
    zen = rendered(edit(sourced, "systems/bench.yaml", "target: x86_64,", "target: zen3,"))

    assert zen.settings["MARCH"] == "'-march=znver3 -mtune=znver3'"


# What is refused


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "recipes/sources/tiny.yaml",
            "tiny==1.0",
            "tiny>=1.0",
            ":3:14: 'tiny>=1.0' must pin one version",
        ),
        ("recipes/sources/tiny.yaml", "name: tiny", "name: huge", ":1:7: 'huge' lies in tiny.yaml"),
        (
            "recipes/sources/tiny.yaml",
            "recipes/patches/tiny",
            "recipes/patches/huge",
            "has no folder",
        ),
        ("stacks/mini.yaml", "[tiny]", "[tinny]", "the site has no 'tinny' (did you mean 'tiny'?)"),
        (
            "recipes/patches/tiny/0001-number.patch",
            "The number was one too small.",
            "",
            "gives no reason",
        ),
        ("recipes/patches/tiny/0001-number.patch", "--- a/tiny.c", "", "not a patch"),
    ],
)
def test_mistakes_are_told_in_their_place(
    sourced: Site, file: str, old: str, new: str, said: str
) -> None:
    again = edit(sourced, file, old, new)

    with pytest.raises((StackwrightError, ManyErrors)) as caught:
        resolve(again, parse(LABEL))
    assert said in str(caught.value)


def test_a_base_that_is_an_image_has_no_toolchain(sourced: Site) -> None:
    system = sourced.root / "systems/bench.yaml"
    text = system.read_text()
    image = f"base: {{image: 'registry.example.org/os/debian@sha256:{'a' * 64}'}}\n"
    system.write_text(text[: text.index("base:")] + image)

    found = [str(error) for error in misfits(Site(sourced.root), parse(LABEL))]

    assert any("builds tiny from sources, which needs a base of Debian" in each for each in found)


def test_no_code_of_the_sources_runs_to_learn_what_they_are(
    sourced: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    sdist = write_sdist(folder)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    here = tmp_path / "pip"  # nor that of a folder in which somebody stands
    here.mkdir()
    (here / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)

    found = _find_sdist("tiny==1.0", sourced, Runner())

    assert (found.name, found.version, found.file) == ("tiny", "1.0", "tiny-1.0.tar.gz")
    assert found.digest == f"sha256:{hashlib.sha256(sdist.read_bytes()).hexdigest()}"
    assert "ran" in FILES["setup.py"]  # what it would leave
    assert not [*tmp_path.rglob("ran")]


# In the container


def test_patches_have_to_fit_exactly(source: ModuleType, tmp_path: Path) -> None:
    patches = tmp_path / "patches"
    patches.mkdir()
    (patches / "0001-number.patch").write_text(PATCH)
    (tmp_path / "sdist").mkdir()
    write_sdist(tmp_path / "sdist")
    source.unpack(tmp_path / "sdist")

    source.apply(patches)

    assert "#define NUMBER 42" in (source.SOURCES / "tiny.c").read_text()
    with pytest.raises(SystemExit, match="patch ended with 1"):
        source.apply(patches)


def test_a_build_sees_nothing_of_the_machine(
    source: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "315532800")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("CXX", "/decoy/c++")

    env = source.environment({"TINY_NUMBER": "42"}, Path("/opt/stackwright"), "-march=x86-64-v3")

    assert "CXX" not in env
    assert env["TINY_NUMBER"] == "42"
    assert env["CFLAGS"].startswith("-march=x86-64-v3 -ffile-prefix-map=")
    assert env["PATH"].endswith("/opt/stackwright/bin:/usr/bin:/bin")


def test_a_wheel_that_needs_more_than_was_told_ends_the_build(
    source: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "more-1.0.dist-info"
    folder.mkdir()
    needs = [
        "Requires-Dist: Known_One>=1",
        "Requires-Dist: unknown",
        'Requires-Dist: x; extra == "y"',
    ]
    (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", "Name: more", *needs, ""]))
    wheel = tmp_path / "more-1.0-py3-none-any.whl"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", wheel, folder], check=True)

    with pytest.raises(SystemExit, match="needs unknown: name it under 'needs'"):
        source.check_needs(wheel, ["known-one"], {})
    source.check_needs(wheel, ["known-one>=1", "unknown"], {})


# Layers that stacks share


def test_stacks_that_agree_have_layers_in_common(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    (root / "stacks/common").mkdir()
    (root / "stacks/common/shared.yaml").write_text(
        "name: shared\nsummary: Of both\npackages: [mpi4py==4.1.2, mpich==5.0.2]\n"
    )
    text = (root / "stacks/mini.yaml").read_text()
    text = text.replace("packages: [mpi4py==4.1.2, mpich==5.0.2]", "common: shared")
    (root / "stacks/mini.yaml").write_text(text)
    other = text.replace("name: mini", "name: maxi").replace("MINI_QUOTES", "MAXI_QUOTES")
    (root / "stacks/maxi.yaml").write_text(
        other.replace("mpi: mpich", "packages: [h5py]\n    mpi: mpich")
    )

    keys = [step_keys(shared(Site(root), name), "podman") for name in ("mini", "maxi")]

    assert {name for name in keys[0] if keys[0][name] == keys[1][name]} >= {
        *("base", "python", "common", "numpy", "common-wheels", "numpy-wheels")
    }
    assert keys[0]["packages"] != keys[1]["packages"]


def shared(site: Site, stack: str) -> Recipe:
    """A recipe whose lock has other packages in its last layer alone."""
    from build_samples import FIXED_LOCK

    from stackwright.building.recipe import render
    from stackwright.locking.lockinputs import lock_inputs
    from stackwright.locking.locks import Layer, load_lock

    plan = resolve(site, parse(f"{stack}/1.0-cpu@bench"))
    lock = load_lock(FIXED_LOCK)
    numpy, packages = lock.wheels.layers
    own = packages.wheels[0].model_copy(update={"name": stack})
    layers = (
        Layer(name="common", wheels=packages.wheels),
        numpy,
        Layer(name="packages", wheels=(own,)),
    )
    wheels = lock.wheels.model_copy(update={"layers": layers})
    update = {"inputs": lock_inputs(plan), "wheels": wheels, "label": str(plan.label)}
    return render(plan, lock.model_copy(update=update), site)
