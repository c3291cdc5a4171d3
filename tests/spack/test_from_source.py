"""What is made from source, up to where Spack compiles: recipe, locks, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from build_samples import FIXED_LOCK
from spack_samples import (
    LABEL,
    SOURCE,
    from_source,
    make_spack_site,
    plan_of,
    recorded,
    write_wheels,
)
from test_recipe import changed, declares, dependents, undeclared

from stackwright.building.build import fetch_sources
from stackwright.building.providers import layers_of
from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.spacksource import counted
from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import render
from stackwright.cli import main
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs, locked, versions
from stackwright.locking.locks import Lock, Sources, Wheels, load_lock
from stackwright.plans.plan import Plan
from stackwright.spack.dialect import DIALECTS
from stackwright.spack.environment import inputs_hash, render_environment
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.spack import Checkout

BUILDER = """
  builder:
    packages: [g++, make, python3.11]
    externals:
      - {spec: gmake@4.3, prefix: /usr}
      - {spec: python@3.11.2, prefix: /usr}
"""
TAKEN = "    externals: [gmake, python]\n"
PLACES = {"STACKWRIGHT_SPACK", "STACKWRIGHT_SPACK_PACKAGES", "STACKWRIGHT_SOURCES", "LABEL"}
KEPT = {
    "STACKWRIGHT_BUILD_CACHE",
    "STACKWRIGHT_BUILD_REGISTRY",
    "STACKWRIGHT_PACKAGE_LOGS",
    "STACKWRIGHT_SPACK_INDEX",
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The small site with Spack, whose system says in which image it compiles."""
    found = make_spack_site(tmp_path / "site")
    system = found.root / "systems" / "bench.yaml"
    system.write_text(system.read_text().rstrip("\n") + BUILDER)
    stack = found.root / "stacks" / "mini.yaml"
    place = "    packages: [osu-micro-benchmarks, nccl +cuda]\n"
    stack.write_text(stack.read_text().replace(place, place + TAKEN))
    return Site(found.root)


def source_lock(plan: Plan) -> Lock:
    """A lock with invented hashes: a base, a toolchain, and the tools that make a prefix."""
    lock = load_lock(FIXED_LOCK)
    toolchain = lock.base.model_copy(update={"digest": "sha256:" + "7" * 64})
    return lock.model_copy(
        update={
            "label": SOURCE,
            "inputs": lock_inputs(plan),
            "wheels": Wheels(tools=lock.wheels.tools, layers=()),
            "sources": Sources(sdists=(), build=(), toolchain=toolchain),
        }
    )


def write_locks(site: Site) -> Plan:
    """The locks of the label, as `stackwright lock` would have written them."""
    plan = plan_of(site, SOURCE)
    files = render_environment(plan, None, DIALECTS[0], site)
    own = recorded(DIALECTS[0])
    found = own.model_copy(
        update={
            "label": SOURCE,
            "inputs": inputs_hash(files),
            "packages": own.spack,
            "lock": own.lock | from_source(),
        }
    )
    path = site.spack_lock_file(parse(SOURCE))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.to_json())
    site.lock_file(parse(SOURCE)).write_bytes(source_lock(plan).to_json())
    return plan_of(site, SOURCE)


def rendered(site: Site) -> Recipe:
    plan = write_locks(site)
    return render(plan, locked(plan, site), site)


def test_a_base_that_was_never_locked_is_missing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spack's part alone is no lock where the system names a builder."""
    write_locks(site)
    site.lock_file(parse(SOURCE)).unlink()

    main(["--site", str(site.root), "lock", SOURCE, "--check", "--json"])

    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["state"], entry["next"]) == ("missing", f"stackwright lock '{SOURCE}'")


# What a stack takes from the builder


def test_what_is_taken_from_the_builder_is_never_built(site: Site) -> None:
    plan = plan_of(site, SOURCE)

    packages = render_environment(plan, None, DIALECTS[0], site)["packages.yaml"].decode()

    for name, spec in (("gmake", "gmake@4.3"), ("python", "python@3.11.2")):
        assert f'  {name}:\n    buildable: false\n    externals:\n    - spec: "{spec}"' in packages


def test_what_no_stack_takes_changes_nothing_that_spack_is_asked(tmp_path: Path) -> None:
    """A builder may get more to offer, and no lock gets stale by it."""
    site = make_spack_site(tmp_path / "site")
    before = render_environment(plan_of(site, SOURCE), None, DIALECTS[0], site)
    system = site.root / "systems" / "bench.yaml"
    system.write_text(system.read_text().rstrip("\n") + BUILDER)

    assert render_environment(plan_of(site, SOURCE), None, DIALECTS[0], site) == before


def test_a_system_whose_builder_lacks_what_a_variant_takes_has_no_such_label(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site.root / "store"))
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace("[gmake, python]", "[gmak, python]"))

    assert main(["--site", str(site.root), "plan", SOURCE]) != 0

    assert "takes gmak from Spack's builder, of which systems/bench.yaml has none" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("taken", "layers"),
    [("[gmake, python]", ("python", "packages")), ("[gmake]", ("packages",))],
)
def test_the_bases_python_is_a_layer_where_spack_makes_none(
    site: Site, taken: str, layers: tuple[str, ...]
) -> None:
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace("[gmake, python]", taken))

    assert layers_of(plan_of(site, SOURCE)) == layers


# Locks


def test_a_system_that_names_no_builder_builds_nothing_from_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to write is named, in its place; and where the label can be built, if it can be."""
    site = make_spack_site(tmp_path / "site")
    system, other = (site.root / "systems" / f"{name}.yaml" for name in ("bench", "other"))
    other.write_text(system.read_text().replace("name: bench", "name: other").rstrip() + BUILDER)
    broken = site.root / "systems" / "broken.yaml"
    broken.write_text("name: broken\n")

    args = ["--site", str(site.root), "--store", str(tmp_path / "store"), "build", SOURCE]
    assert main(args) == ExitCode.USAGE

    error, hint = capsys.readouterr().err.splitlines()
    line = system.read_text().split("\nspack:\n")[0].count("\n") + 3
    assert error == (
        f"error: {system}:{line}:3: {SOURCE} is made from source, and bench names no builder for it"
    )
    assert hint == (
        f"hint: name Debian's compilers as 'builder' under 'spack' of {system}: docs/spack.md;"
        " or build it where one is: stackwright build 'mini/1.0-source@other';"
        f" or make it by hand: stackwright render '{SOURCE}' -o DIR"
    )


@pytest.mark.parametrize("wheels", [True, False])
def test_a_lock_is_followed_by_a_build_only_where_there_can_be_one(
    tmp_path: Path,
    wheels: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = make_spack_site(tmp_path / "site")
    label = LABEL if wheels else SOURCE
    write_wheels(site)
    found = recorded(DIALECTS[0]).model_copy(update={"label": label})
    spack = Checkout(tmp_path, "1.1.0", "", "")
    monkeypatch.setattr("stackwright.tools.spack.find_spack", lambda _runner: spack)
    monkeypatch.setattr("stackwright.tools.spack.find_packages", lambda _spack, _runner: spack)
    monkeypatch.setattr("stackwright.spack.concretize.concretize", lambda *_, **__: found)

    args = ["--site", str(site.root), "--store", str(tmp_path / "store"), "lock", label]
    assert main(args) == ExitCode.OK

    todo = (
        f"stackwright build '{label}'"
        if wheels
        else f"stackwright render '{label}' -o DIR, as bench names no builder"
    )
    assert capsys.readouterr().err.endswith(f"\nnext: commit it, then: {todo}\n")


def test_other_packages_of_the_builder_make_the_lock_of_the_toolchain_stale(site: Site) -> None:
    write_locks(site)
    system = site.root / "systems" / "bench.yaml"
    system.write_text(system.read_text().replace("[g++, make,", "[g++, gfortran, make,"))
    moved = Site(site.root)

    with pytest.raises(StackwrightError, match=f"the lock of {SOURCE} is stale"):
        locked(plan_of(moved, SOURCE), moved)


def test_the_versions_are_those_that_spack_decided(site: Site) -> None:
    plan = write_locks(site)

    found = dict(pair.split("=", 1) for pair in versions(plan, site).split(","))

    assert found["py-torch"] == "2.9.0"
    assert found["osu-micro-benchmarks"] == "7.5"


def test_the_wheels_of_another_variant_have_layers_whoever_installs_them(site: Site) -> None:
    """`lock --base-only` looks at the plan without Spack's part."""
    plan = plan_of(site, LABEL).model_copy(update={"spack": None})

    assert [*plan.layers] == ["numpy", "packages"]


# The recipe


def test_what_a_script_reads_is_declared(site: Site) -> None:
    recipe = rendered(site)

    found = {step.name: undeclared(recipe, step) - PLACES - KEPT for step in recipe.steps}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("file", "first"),
    [
        ("spack/spack.lock", "spack-sources"),
        ("spack-build.sh", "spack-build"),
        ("spack_tree.py", "packages"),
    ],
)
def test_what_changes_is_done_anew_with_all_that_is_made_of_it(
    site: Site, file: str, first: str
) -> None:
    recipe = rendered(site)
    other = Recipe({**recipe.files, file: b"changed"}, recipe.settings, recipe.steps)

    mine = {step.name for step in recipe.steps if declares(step, file)}

    assert first in mine
    assert changed(recipe, other) == dependents(recipe, mine)


def test_sources_need_neither_base_nor_engine(site: Site, tmp_path: Path) -> None:
    """They are fetched where there is a network, and built where there is none."""
    plan, store = write_locks(site), Store(tmp_path / "store")

    with pytest.raises(StackwrightError, match=r"step 'spack' .* failed"):
        fetch_sources(plan, site, store, Runner(), places="")

    assert not store.path("steps/base").exists()


def test_wheels_have_no_sources(site: Site, tmp_path: Path) -> None:
    write_wheels(site)

    with pytest.raises(StackwrightError, match="is made of wheels"):
        fetch_sources(plan_of(site), site, Store(tmp_path), Runner(), places="")


@pytest.mark.parametrize("named", [True, False])
def test_packages_of_another_version_are_refused(site: Site, tmp_path: Path, named: bool) -> None:
    checkout, out, recipe = tmp_path / "checkout", tmp_path / "out", rendered(site)
    subprocess.run(["git", "init", "-q", checkout], check=True)
    out.mkdir()
    (step,) = (step for step in recipe.steps if step.name == "spack-packages")
    env = {"STACKWRIGHT_SPACK_PACKAGES": str(checkout) if named else ""}

    with pytest.raises(ToolError) as caught:
        run_script(recipe, step, out, inputs={}, env=env, runner=Runner())

    said = "has not the packages 1.1.0 of the lock" if named else "where are Spack's packages?"
    assert said in caught.value.tail


ENGINE = """#!/bin/sh
case $1 in
image) exit 0 ;;
run)
    echo "ncurses-6.4-5zjcy4h" >"$OUT/failed.txt"
    printf 'configure\\ncc: no such option\\n' >"$STACKWRIGHT_PACKAGE_LOGS/ncurses-6.4-5zjcy4h.log"
    exit 2
    ;;
esac
"""


def test_the_package_that_failed_is_named_with_the_end_of_its_log(
    site: Site, tmp_path: Path
) -> None:
    recipe, out, programs = rendered(site), tmp_path / "out", tmp_path / "bin"
    out.mkdir()
    programs.mkdir()
    (programs / "podman").write_text(ENGINE)
    (programs / "podman").chmod(0o755)
    (step,) = (step for step in recipe.steps if step.name == "spack-build")
    env = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "ENGINE": "podman",
        **{name: str(tmp_path / name) for name in KEPT},
        "STACKWRIGHT_BUILD_REGISTRY": "",
    }

    with pytest.raises(ToolError) as caught:
        run_script(
            recipe,
            step,
            out,
            inputs=dict.fromkeys(step.inputs, tmp_path),
            env=env,
            runner=Runner(),
        )

    assert "error: Spack could not install ncurses-6.4-5zjcy4h; the others are kept" in (
        caught.value.tail
    )
    assert caught.value.tail.endswith("configure\ncc: no such option")
    assert f"{tmp_path}/STACKWRIGHT_PACKAGE_LOGS/ncurses-6.4-5zjcy4h.log" in caught.value.tail


def test_each_package_is_told_when_it_is_installed() -> None:
    """By the lines of a real build, with those of make between them."""
    hashes = {"gcc": "qibsvtu", "fftw": "fcvt7kw", "ncurses": "5zjcy4h"}
    versions = {"gcc": "12.2.0", "fftw": "3.3.10", "ncurses": "6.4"}
    specs = {
        f"{hashes[name]}2c26wzrtweqbvbgxqvsbf4tm": {
            "name": name,
            "namespace": "builtin",
            "version": version,
            "arch": {"target": "x86_64"},
            **({"external": {"path": "/usr"}} if name == "gcc" else {}),
        }
        for name, version in versions.items()
    }
    told: list[str] = []
    hear = counted(json.dumps({"concrete_specs": specs}).encode(), told.append)

    for line in (
        "sh /spack-build.sh one -e '/out/environment' install --verbose /fcvt7kw # fftw@3.3.10~mpi",
        "external gcc-12.2.0-qibsvtu",
        "cached ncurses-6.4-5zjcy4h",
        "compiled with gcc",
        "cached ncurses-6.4-5zjcy4h",
        "compiled fftw-3.3.10-fcvt7kw",
    ):
        hear(line)

    assert told == ["1/2 ncurses-6.4: taken from the build cache", "2/2 fftw-3.3.10: compiled"]


# The modulefile and the prefix


def test_the_module_shows_libraries_to_those_who_compile(site: Site) -> None:
    module = rendered(site).files["module.lua"].decode()

    assert 'prepend_path("PKG_CONFIG_PATH", pathJoin(prefix, "lib", "pkgconfig"))' in module


def test_a_stack_without_a_kernel_has_none(site: Site) -> None:
    stack = site.root / "stacks" / "mini.yaml"
    text = stack.read_text()
    stack.write_text(text[: text.index("kernel:")] + text[text.index("suite:") :])

    recipe = rendered(Site(site.root))

    assert "kernel.json" not in recipe.files
    assert json.loads(recipe.files["plan.json"])["kernel"] is None


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs: apt-get install shellcheck")
def test_shellcheck_finds_nothing_in_what_runs_in_the_container(site: Site) -> None:
    script = site.root / "images" / "spack-build.sh"

    found = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")
