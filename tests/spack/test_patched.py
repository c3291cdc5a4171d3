"""Packages of Spack that get patches of ours: what is rendered, refused, and found missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from spack_samples import check_reviewed, make_spack_site, needs_spack, plan_of, spack_roots

from stackwright.building.providers.scripts import write_files
from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan
from stackwright.spack.asked import check
from stackwright.spack.dialect import DIALECTS, Dialect, dialect_of
from stackwright.spack.environment import inputs_hash, render_environment
from stackwright.tools.process import Runner
from stackwright.tools.spack import PACKAGES, ROOT, find_packages, find_spack, run_spack

LABEL = "mini/1.0-patched@bench"
VARIANT = """
  patched:
    provider: spack
    sources: [horovod]
    frameworks: [py-horovod@0.28.1 ~cuda controllers=mpi tensor_ops=mpi]
"""
RECIPE = "recipes/sources/horovod.yaml"
FOLDERS = {
    "1": "repo/spack_repo/patched/packages/py_horovod",
    "0.23": "repo/patched/packages/py-horovod",
}
BOTH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.series)


def edit(site: Site, file: str, old: str, new: str) -> Site:
    path = site.root / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return Site(site.root)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The small site with Spack, and a variant whose Horovod is patched."""
    found = make_spack_site(tmp_path / "site")
    edit(found, "stacks/mini.yaml", "      spack: {}\n", "      spack: {}\n      patched: {}\n")
    return edit(found, "stacks/mini.yaml", "\n  spack:\n", f"{VARIANT}\n  spack:\n")


def environment(site: Site, dialect: Dialect = DIALECTS[0]) -> dict[str, bytes]:
    return render_environment(plan_of(site, LABEL), None, dialect, site)


# What is rendered


@BOTH
def test_the_package_is_as_reviewed(site: Site, dialect: Dialect) -> None:
    check_reviewed(f"patched-{dialect.series}", environment(site, dialect))


@BOTH
def test_every_patch_is_there_but_those_that_are_left_out(site: Site, dialect: Dialect) -> None:
    files, folder = environment(site, dialect), FOLDERS[dialect.series]
    source = site.source("horovod")
    assert source.spack is not None

    for name, content in site.patches(source).items():
        applied = name not in source.spack.without
        assert files.get(f"{folder}/{name}") == (content if applied else None)
        assert (f'patch("{name}"' in files[f"{folder}/package.py"].decode()) == applied


def test_a_patch_that_a_centre_adds_needs_no_more_than_its_file(site: Site) -> None:
    before = inputs_hash(environment(site))
    patch = site.root / "recipes/patches/horovod/0042-own.patch"
    patch.write_text("Our network needs it.\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n")

    package = environment(site)[f"{FOLDERS['1']}/package.py"].decode()

    assert '    # Our network needs it.\n    patch("0042-own.patch", when="@=0.28.1")\n' in package
    assert inputs_hash(environment(site)) != before


def test_a_patch_that_changes_is_asked_anew(site: Site) -> None:
    before = inputs_hash(environment(site))
    patch = "recipes/patches/horovod/0008-mpich-by-the-name-of-its-launcher.patch"

    other = edit(site, patch, "or 'HYDRA' in output", "or 'Hydra' in output")

    assert inputs_hash(environment(other)) != before


def test_none_of_what_builds_the_wheel_decides_what_spack_builds(site: Site) -> None:
    plan = plan_of(site, LABEL)

    assert (plan.sources, plan.toolchain) == ((), ())
    assert plan.spack is not None
    assert plan.spack.patched == {"py-horovod": "horovod"}


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0008-mpich-by-the-name-of-its-launcher.patch:", "0008-mpich.patch:", "there is no patch"),
        ("    0001-cxx17.patch:", "    0002-cxx17.patch:", "(did you mean '0001-cxx17.patch'?)"),
        ("    0004-one-gloo.patch:", "    0003-no-xla-operations.patch:", "under 'when' already"),
        ("patches: recipes/patches/horovod\n", "", "there are no patches for Spack's package"),
        ("[controllers=gloo, tensor_ops=gloo]", "[]", "at least 1"),
    ],
)
def test_mistakes_are_told_in_their_place(site: Site, old: str, new: str, said: str) -> None:
    other = edit(site, RECIPE, old, new)

    with pytest.raises(ManyErrors) as caught:
        plan_of(other, LABEL)
    assert said in str(caught.value)
    assert f"{RECIPE}:" in str(caught.value)


def test_a_source_that_names_no_package_of_spacks_is_refused(site: Site) -> None:
    other = edit(site, "stacks/mini.yaml", "sources: [horovod]", "sources: [jax]")

    with pytest.raises(StackwrightError, match="doesn't say which package of Spack's") as caught:
        plan_of(other, LABEL)
    assert "stacks/mini.yaml:" in str(caught.value)


def test_two_sources_with_patches_for_one_package_are_refused(site: Site) -> None:
    text = (site.root / RECIPE).read_text().replace("name: horovod", "name: hvd")
    (site.root / "recipes/sources/hvd.yaml").write_text(text)
    other = edit(site, "stacks/mini.yaml", "sources: [horovod]", "sources: [hvd, horovod]")

    with pytest.raises(StackwrightError, match="'horovod' and 'hvd' both have patches for"):
        plan_of(other, LABEL)


# What Spack decided


def lock_with(namespace: str) -> dict[str, Any]:
    asked = {
        "python": ("3.11.14", "builtin", {}),
        "py-horovod": (
            "0.28.1",
            namespace,
            {"cuda": False, "controllers": ["mpi"], "tensor_ops": "mpi"},
        ),
    }
    return {
        "roots": [{"hash": name, "spec": name} for name in asked],
        "concrete_specs": {
            name: {
                "name": name,
                "namespace": where,
                "version": version,
                "arch": {"target": "x86_64"},
                "parameters": parameters,
            }
            for name, (version, where, parameters) in asked.items()
        },
    }


def test_a_lock_with_the_patched_package_is_what_was_asked_for(site: Site) -> None:
    check(lock_with("patched"), plan_of(site, LABEL), None, site)


def test_a_lock_with_spacks_own_package_is_found_out(site: Site) -> None:
    """A configuration before the environment's, such as that of `spack -C`, may name builtin."""
    with pytest.raises(StackwrightError, match="from builtin, without the patches of horovod"):
        check(lock_with("builtin"), plan_of(site, LABEL), None, site)


def test_a_lock_without_the_package_is_found_out(site: Site) -> None:
    other = edit(site, RECIPE, "package: py-horovod", "package: py-horovodd")

    with pytest.raises(StackwrightError, match="py-horovodd, which is to have the patches of"):
        check(lock_with("patched"), plan_of(other, LABEL), None, other)


# The real Spack

SEE = """import json
import os

import spack.builder
import spack.repo

found = {}
for name in ("py-horovod", "openblas"):
    package = spack.repo.PATH.get_pkg_class(name)
    builder = spack.builder.get_builder_class(package, "MakefileBuilder")
    found[package.fullname] = {
        "base": package.__mro__[1].__module__,
        "builder": builder and builder.__module__,
        "patches": [
            (str(when), os.path.basename(patch.path), patch.sha256)
            for when, patches in package.patches.items()
            for patch in patches
            if os.sep + "patched" + os.sep in (getattr(patch, "path", None) or "")
        ],
    }
print("found", json.dumps(found))
"""


def with_two_packages(plan: Plan) -> Plan:
    """A plan in which another package has the same patches: one that has a builder of its own."""
    assert plan.spack is not None
    patched = {"py-horovod": "horovod", "openblas": "horovod"}
    return plan.model_copy(
        update={"spack": plan.spack.model_copy(update={"patched": patched})},
    )


@pytest.mark.real
@needs_spack
@pytest.mark.parametrize("root", spack_roots(), ids=lambda root: root.name)
def test_the_real_spack_takes_the_patched_package(site: Site, root: Path, tmp_path: Path) -> None:
    """It loads, comes before Spack's own, and has all that this one has, and our patches."""
    spack = find_spack(Runner(), {ROOT: str(root)})
    try:
        packages = find_packages(spack, Runner(), os.environ)
    except StackwrightError as error:
        pytest.skip(f"needs Spack's packages by {PACKAGES}: {error.hint}")
    dialect, plan = dialect_of(spack.version), with_two_packages(plan_of(site, LABEL))
    (tmp_path / "work").mkdir()
    files = render_environment(plan, None, dialect, site)
    write_files(files, tmp_path / "work" / "environment")
    (tmp_path / "see.py").write_text(SEE)

    said = run_spack(
        spack,
        ["-e", str(tmp_path / "work" / "environment"), "python", str(tmp_path / "see.py")],
        Runner(),
        work=tmp_path / "work",
        cache=tmp_path / "cache",
        seconds=600,
        packages=packages,
    )

    (line,) = (line for line in said.splitlines() if line.startswith("found "))
    found = json.loads(line.removeprefix("found "))
    assert found.keys() == {"patched.py-horovod", "patched.openblas"}
    horovod = found["patched.py-horovod"]
    assert horovod["base"] == dialect.module_of("py-horovod")
    assert found["patched.openblas"]["builder"] == dialect.module_of("openblas")
    names = [name for _, name, _ in horovod["patches"]]
    assert {f"{FOLDERS[dialect.series]}/{name}" for name in names} == {
        name for name in files if "horovod/0" in name
    }
    conditions = {when for when, name, _ in horovod["patches"] if name.startswith("0009")}
    assert conditions == {"@=0.28.1 controllers=gloo", "@=0.28.1 tensor_ops=gloo"}
