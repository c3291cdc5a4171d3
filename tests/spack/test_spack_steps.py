"""The steps that let Spack install: each says honestly what it reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from build_samples import fixed_lock
from spack_samples import LABEL, WHEELS, plan_of, recorded, write_wheels
from test_recipe import changed, declares, dependents, undeclared

from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.steps import Recipe, step_keys
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.spack.dialect import DIALECTS
from stackwright.spack.wheels import lock_of_wheels
from stackwright.tools.process import Runner, ToolError


def rendered(site: Site) -> Recipe:
    write_wheels(site)
    lock = lock_of_wheels(plan_of(site), site)
    site.spack_lock_file(parse(LABEL)).write_bytes(recorded(DIALECTS[0]).to_json())
    return render(plan_of(site), lock, site)


def test_what_a_script_reads_is_declared(site: Site) -> None:
    recipe = rendered(site)

    found = {step.name: words for step in recipe.steps if (words := undeclared(recipe, step))}
    assert found == {"spack": {"STACKWRIGHT_SPACK", "LABEL"}}  # where it lies, and what to type


def test_a_changed_package_is_installed_anew_and_what_is_built_on_it(site: Site) -> None:
    recipe = rendered(site)
    (name,) = (name for name in recipe.files if name.endswith("py_numpy/package.py"))
    other = Recipe({**recipe.files, name: b"changed"}, recipe.settings, recipe.steps)

    mine = {step.name for step in recipe.steps if declares(step, name)}

    assert mine == {"spack-install"}
    assert changed(recipe, other) == dependents(recipe, mine)
    assert {"numpy", "packages", "image"} <= changed(recipe, other)


def test_what_the_wheel_provider_does_as_well_is_done_once(site: Site) -> None:
    """Base, downloads and Python have the keys that they have for the variant of the wheels."""
    own, wheels = rendered(site), plan_of(site, WHEELS)
    other = render(wheels, fixed_lock(wheels), site)

    shared = {"base", "tools-wheels", "numpy-wheels", "packages-wheels", "python"}
    keys, others = step_keys(own, "podman"), step_keys(other, "podman")
    assert {name: keys[name] for name in shared} == {name: others[name] for name in shared}


@pytest.mark.parametrize("has_spack", [True, False])
def test_a_spack_without_the_tree_of_the_lock_is_refused(
    site: Site, tmp_path: Path, has_spack: bool
) -> None:
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "init", "-q", checkout], check=True)
    recipe, out = rendered(site), tmp_path / "out"
    out.mkdir()
    (step,) = (step for step in recipe.steps if step.name == "spack")
    env = {"STACKWRIGHT_SPACK": str(checkout) if has_spack else "", "PATH": "/usr/bin:/bin"}

    with pytest.raises(ToolError) as caught:
        run_script(recipe, step, out, inputs={}, env=env, runner=Runner())

    said = "is not the Spack 1.1.0 that made the lock" if has_spack else "there is no Spack here"
    assert said in caught.value.tail


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs: apt-get install shellcheck")
def test_shellcheck_finds_nothing_in_what_runs_in_the_container(site: Site) -> None:
    script = site.root / "images" / "spack-install.sh"

    found = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")
