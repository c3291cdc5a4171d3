"""The rendered modulefile under the real `module` command."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY, make_site

from stackwright.building.recipe import render_modules
from stackwright.building.templates import Templates
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.tools.lmod import find_init

QUOTES = 'it\'s "quoted" $HOME `id` \\ and -- done'
# What Lmod keeps in the environment for itself.
_LMOD = re.compile(r"_ModuleTable|__LMOD_|_LMFILES_|LOADEDMODULES|LMOD_|MODULEPATH|_$|SHLVL$")

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def init() -> Path:
    try:
        return find_init()
    except StackwrightError as error:
        pytest.skip(f"needs Lmod: {error.hint}")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Two versions of the small stack and one of another, as a release lays them out."""
    site = Site(make_site(tmp_path / "site"))
    plan = resolve(site, parse(LABEL))
    tree = tmp_path / "modules"
    for stack, version in (("mini", "1.0"), ("mini", "2.0"), ("other", "1.0")):
        other = plan.model_copy(update={"version": version, "stack": stack})
        file = tree / stack / f"{version}-cpu.lua"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(render_modules(other, site, f"/apps/{stack}/{version}")["module.lua"])
    rc = Templates(site.root / "modules").render("modulerc.lua.j2", {"default": "mini/1.0-cpu"})
    (tree / "mini" / ".modulerc.lua").write_bytes(rc)
    return tree


def bash(init: Path, modules: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "bash",
            "--noprofile",
            "--norc",
            "-c",
            f'source "{init}"; module use "{modules}"; {script}',
        ],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(modules),
            "LMOD_PAGER": "none",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def environments(text: str) -> list[dict[str, str]]:
    """What several `env -0; echo END` printed, without Lmod's own variables."""
    found = []
    for block in text.split("END\n")[:-1]:
        pairs = (entry.partition("=") for entry in block.split("\0") if "=" in entry)
        found.append({name: value for name, _, value in pairs if not _LMOD.match(name)})
    return found


def test_load_sets_what_the_stack_says(init: Path, modules: Path) -> None:
    done = bash(init, modules, "module load mini/2.0-cpu && env -0; echo END")

    (loaded,) = environments(done.stdout)

    assert loaded["PATH"].split(":")[0] == "/apps/mini/2.0/bin"
    assert loaded["MINI_QUOTES"] == QUOTES
    assert loaded["PYTHONNOUSERSITE"] == "1"
    assert loaded["STACKWRIGHT_LABEL"] == "mini/2.0-cpu@bench"
    assert done.stderr == ""


@pytest.mark.parametrize(
    "before",
    [{}, {"MINI_QUOTES": "mine, 'before'", "PYTHONNOUSERSITE": "x", "STACKWRIGHT_LABEL": "x"}],
    ids=["unset before", "set before"],
)
def test_unload_restores_the_environment_exactly(
    init: Path, modules: Path, before: dict[str, str]
) -> None:
    script = (
        "env -0; echo END; module load mini/1.0-cpu; env -0; echo END;"
        " module unload mini; env -0; echo END"
    )

    first, loaded, last = environments(bash(init, modules, script, **before).stdout)

    assert loaded != first
    assert last == first


def test_swapping_versions_leaves_nothing_of_the_first(init: Path, modules: Path) -> None:
    script = (
        "env -0; echo END; module load mini/1.0-cpu; module swap mini/2.0-cpu; env -0; echo END;"
        " module purge; env -0; echo END"
    )

    first, swapped, last = environments(bash(init, modules, script).stdout)

    assert "/apps/mini/1.0" not in swapped["PATH"]
    assert swapped["STACKWRIGHT_LABEL"] == "mini/2.0-cpu@bench"
    assert last == first


def test_a_second_version_replaces_the_first(init: Path, modules: Path) -> None:
    done = bash(init, modules, "module load mini/1.0-cpu; module load mini/2.0-cpu; module -t list")

    assert "mini/2.0-cpu" in done.stderr
    assert "mini/1.0-cpu" not in done.stderr.splitlines()


def test_two_stacks_of_one_family_are_never_loaded_together(init: Path, modules: Path) -> None:
    done = bash(
        init,
        modules,
        "module load mini/1.0-cpu; module load other/1.0-cpu; module -t --redirect list",
        LMOD_DISABLE_SAME_NAME_AUTOSWAP="yes",
    )

    loaded = {line.strip() for line in done.stdout.splitlines()}
    assert not {"mini/1.0-cpu", "other/1.0-cpu"} <= loaded


def test_a_conflict_is_an_error_where_the_site_wants_no_swaps(init: Path, modules: Path) -> None:
    done = bash(
        init,
        modules,
        "module load mini/1.0-cpu; module load mini/2.0-cpu; echo rc=$?",
        LMOD_DISABLE_SAME_NAME_AUTOSWAP="yes",
    )

    assert "rc=1" in done.stdout
    assert "mini" in done.stderr


def test_the_default_is_the_one_of_modulerc(init: Path, modules: Path) -> None:
    done = bash(init, modules, "module load mini; echo $STACKWRIGHT_LABEL")

    assert done.stdout == "mini/1.0-cpu@bench\n"


def test_help_whatis_and_spider_tell_about_the_stack(init: Path, modules: Path) -> None:
    shown = bash(
        init,
        modules,
        "module --redirect help mini; module --redirect whatis mini; module --redirect spider mini",
    ).stdout

    assert 'A [[small]] stack for "tests".' in shown
    assert "mpiexec -n 2 python3 -c 'import mpi4py.MPI'" in shown
    for text in ("Version: 1.0-cpu", "URL: https://example.org/mini", "Keywords: test, mini"):
        assert text in shown
    assert "mini/2.0-cpu" in shown


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """Each stack that is shipped, by its variant of wheels for the machine in front of you."""
    site = Site(REPOSITORY)
    tree = tmp_path / "shipped"
    of_wheels = (each for each in site.labels if (each.system, each.variant) == ("local", "cpu"))
    for label in of_wheels:
        file = tree / label.stack / f"{label.release}.lua"
        file.parent.mkdir(parents=True)
        prefix = f"/apps/{label.stack}"
        file.write_bytes(render_modules(resolve(site, label), site, prefix)["module.lua"])
    return tree


@pytest.mark.parametrize(
    ("first", "second"), [("pytorch", "tensorflow"), ("tensorflow", "jax"), ("jax", "pytorch")]
)
def test_a_stack_of_another_framework_takes_the_place_of_the_first(
    init: Path, shipped: Path, first: str, second: str
) -> None:
    script = (
        f"env -0; echo END; module load {first}; module load {second}; env -0; echo END;"
        " module purge; env -0; echo END"
    )

    done = bash(init, shipped, script)

    before, loaded, after = environments(done.stdout)
    assert f"/apps/{second}/bin" in loaded["PATH"].split(":")
    assert f"/apps/{first}/bin" not in loaded["PATH"].split(":")
    assert loaded["STACKWRIGHT_LABEL"].startswith(f"{second}/")
    assert after == before
    assert done.returncode == 0


@pytest.mark.parametrize("stack", ["pytorch", "tensorflow", "jax"])
def test_help_shows_how_several_processes_are_started(
    init: Path, shipped: Path, stack: str
) -> None:
    shown = bash(init, shipped, f"module --redirect help {stack}").stdout

    assert re.search(r"^ +python train\.py +one process$", shown, re.MULTILINE)
    assert re.search(r"^ +mpiexec -n 2 python train\.py +two processes", shown, re.MULTILINE)
