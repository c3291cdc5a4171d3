"""What Spack decided: recorded by the real one of both series, read and checked without any."""

from __future__ import annotations

import copy
import json
import platform
from pathlib import Path
from typing import Any

import pytest
from spack_samples import (
    HERE,
    LABEL,
    SOURCE,
    from_source,
    plan_of,
    recorded,
    wheels_of,
    write_both,
)

from stackwright.building.recipe import render
from stackwright.cli import main
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.difference import told
from stackwright.locking.lockinputs import locked
from stackwright.spack.asked import check
from stackwright.spack.concretize import concretize
from stackwright.spack.dialect import DIALECTS, Dialect
from stackwright.spack.known import check_known
from stackwright.spack.lockdiff import differences
from stackwright.spack.locked import spack_locked
from stackwright.spack.lockfile import SpackLock, load_spack_lock, nodes
from stackwright.spack.refusal import explain
from stackwright.spack.wheels import lock_of_wheels
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.tools.spack import Checkout

BOTH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.series)


def spec(lock: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in lock["concrete_specs"].values() if one["name"] == name)
    value: dict[str, Any] = found
    return value


def lock_of(dialect: Dialect) -> dict[str, Any]:
    return copy.deepcopy(dict(recorded(dialect).lock))


# Files


@BOTH
def test_a_lock_survives_writing_and_reading(dialect: Dialect, tmp_path: Path) -> None:
    found = recorded(dialect)
    path = tmp_path / "again.json"
    path.write_bytes(found.to_json())

    assert load_spack_lock(path, parse(LABEL)) == found


@BOTH
def test_a_lock_has_a_line_for_each_package(dialect: Dialect) -> None:
    """So that a difference between two of them can be read."""
    lines = recorded(dialect).to_json().decode().splitlines()

    for node in nodes(recorded(dialect).lock):
        assert len([line for line in lines if line.startswith(f'   "{node.hash}"')]) == 1


@BOTH
def test_spacks_own_file_says_what_it_said(dialect: Dialect) -> None:
    found = recorded(dialect)

    assert json.loads(found.spack_lock) == found.lock


@BOTH
def test_packages_of_both_formats_are_read(dialect: Dialect) -> None:
    found = {node.name: node for node in nodes(recorded(dialect).lock)}

    numpy = found["py-numpy"]
    assert (numpy.version, numpy.target, numpy.external) == ("2.2.6", "x86_64", False)
    assert numpy.compiler == (None if dialect.compilers_are_packages else "gcc@12.2.0")
    assert found["python"].external


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: value.pop("spack"), "Field required"),
        (lambda value: value["lock"].pop("concrete_specs"), "concrete_specs"),
        (lambda value: value["lock"].update(concrete_specs=[]), "items"),
        (lambda value: value.update(label="mini/2.0-spack@bench"), "it is that of mini/2.0"),
        (lambda value: value["spack"].update(commit="main"), "should match pattern"),
    ],
)
def test_what_is_no_lock_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    value = json.loads((HERE / "recorded" / "1.spack.json").read_text())
    change(value)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(value))

    with pytest.raises(StackwrightError, match="not a lock of Spack") as caught:
        load_spack_lock(path, parse(LABEL))
    assert said in str(caught.value)
    assert "hands don't" in str(caught.value.hint)


def test_what_it_took_is_no_difference() -> None:
    found = recorded(DIALECTS[0])
    slower = found.model_copy(update={"seconds": found.seconds + 1})

    assert slower.same_as(found)
    turned = {**found.lock, "roots": [*reversed(found.lock["roots"])]}
    assert found.model_copy(update={"lock": turned}).same_as(found)
    fewer = {**found.lock, "roots": found.lock["roots"][1:]}
    assert not found.model_copy(update={"lock": fewer}).same_as(found)
    assert not slower.model_copy(update={"label": "mini/1.1-spack@bench"}).same_as(found)


# What was asked for is there


@BOTH
def test_a_lock_of_the_real_spack_is_what_was_asked_for(site: Site, dialect: Dialect) -> None:
    check(recorded(dialect).lock, plan_of(site), wheels_of(site), site)


def drop(lock: dict[str, Any]) -> None:
    lock["concrete_specs"] = {
        key: one for key, one in lock["concrete_specs"].items() if one["name"] != "py-mpich"
    }


@BOTH
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop, "py-mpich is missing"),
        (lambda lock: spec(lock, "py-numpy").update(version="2.2.5"), "py-numpy is 2.2.5, not"),
        (
            lambda lock: spec(lock, "py-numpy")["arch"].update(target="zen4"),
            "py-numpy is for zen4, not x86_64",
        ),
    ],
)
def test_a_solver_that_left_something_out_is_found_out(
    site: Site, dialect: Dialect, change: Any, said: str
) -> None:
    lock = lock_of(dialect)
    change(lock)

    with pytest.raises(StackwrightError, match="not what was asked for") as caught:
        check(lock, plan_of(site), wheels_of(site), site)
    assert said in str(caught.value)


@pytest.mark.parametrize("version", ["3.12.1", "3.1", "3.110"])
def test_another_version_is_found_out(site: Site, version: str) -> None:
    lock = from_source()
    lock["concrete_specs"]["python"]["version"] = version

    with pytest.raises(StackwrightError, match=f"python is {version}, not 3.11"):
        check(lock, plan_of(site, SOURCE), None, site)


def test_variants_are_checked_as_the_stack_asks_for_them(site: Site) -> None:
    check(from_source(), plan_of(site, SOURCE), None, site)


@pytest.mark.parametrize(
    ("package", "change", "said"),
    [
        ("py-torch", {"gloo": False}, "py-torch: gloo is False, not True"),
        ("py-torch", {"mkldnn": None}, "py-torch: mkldnn is None, not True"),
        ("nccl", {"cuda_arch": ["70"]}, r"nccl is for GPUs of \['70'\], not 80"),
        ("nccl", {"cuda": False}, "nccl: cuda is False, not True"),
    ],
)
def test_a_variant_that_was_dropped_is_found_out(
    site: Site, package: str, change: dict[str, object], said: str
) -> None:
    lock = from_source()
    lock["concrete_specs"][package]["parameters"].update(change)

    with pytest.raises(StackwrightError, match=said):
        check(lock, plan_of(site, SOURCE), None, site)


def test_what_nobody_says_to_be_there_already_has_to_be_made(site: Site) -> None:
    lock = from_source()
    there = {"external": {"path": "/opt"}, "arch": {"target": {"name": "x86_64"}}}
    for name, version in (("cuda", "12.4.1"), ("glibc", "2.36")):
        lock["concrete_specs"][name] = there | {"name": name, "version": version, "namespace": "b"}
    check(lock, plan_of(site, SOURCE), None, site)

    lock["concrete_specs"]["osu-micro-benchmarks"] |= there

    with pytest.raises(StackwrightError, match="osu-micro-benchmarks is taken as there already"):
        check(lock, plan_of(site, SOURCE), None, site)


COMMIT = 4 * "0123456789"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "master"}, "osu-micro-benchmarks is master, a branch or commit that"),
        ({"version": f"git.{COMMIT}=7.5.1"}, f"osu-micro-benchmarks is git.{COMMIT}=7.5.1, a "),
        ({"parameters": {"dev_path": "."}}, "osu-micro-benchmarks is made of a folder"),
    ],
)
def test_what_is_another_thing_each_day_is_refused(
    site: Site, change: dict[str, object], said: str
) -> None:
    """Spack's hash of it stays the same, whatever its source is at the time."""
    lock = from_source()
    lock["concrete_specs"]["osu-micro-benchmarks"] |= change

    with pytest.raises(StackwrightError, match=said):
        check(lock, plan_of(site, SOURCE), None, site)


def test_a_commit_is_taken_where_a_spec_asks_for_it(site: Site) -> None:
    lock, plan = from_source(), plan_of(site, SOURCE)
    lock["concrete_specs"]["osu-micro-benchmarks"]["version"] = f"git.{COMMIT}=7.5.1"
    spec = f"osu-micro-benchmarks@git.{COMMIT}=7.5"
    packages = [text for text in plan.packages if not text.startswith("osu")]

    check(lock, plan.model_copy(update={"packages": (*packages, f"{spec}.1")}), None, site)
    with pytest.raises(
        StackwrightError, match=rf"is git\.{COMMIT}=7\.5\.1, not git\.{COMMIT}=7\.5\n"
    ):
        check(lock, plan.model_copy(update={"packages": (*packages, spec)}), None, site)


def test_a_lock_that_contradicts_what_it_says_of_its_spack_is_refused(site: Site) -> None:
    _, path = write_both(site, DIALECTS[0])
    version = load_spack_lock(path, parse(LABEL)).spack.version
    path.write_text(path.read_text().replace(f'"version": "{version}"', '"version": "1.9.9"', 1))

    with pytest.raises(StackwrightError, match=f"made by Spack {version}, and not by 1.9.9"):
        load_spack_lock(path, parse(LABEL))


def test_what_the_system_requires_is_looked_up_wherever_it_is_used(site: Site) -> None:
    lock = from_source()
    used = {**lock["concrete_specs"]["nccl"], "name": "libfabric", "version": "1.22.0"}
    lock["concrete_specs"]["libfabric"] = used
    check(lock, plan_of(site, SOURCE), None, site)

    used["version"] = "2.3.1"

    with pytest.raises(StackwrightError, match=r"libfabric is 2\.3\.1, not 1\.22\.0"):
        check(lock, plan_of(site, SOURCE), None, site)


@pytest.mark.parametrize(
    ("package", "file", "at"),
    [
        ("nccl", "stacks/mini.yaml", "nccl +cuda"),
        ("libfabric", "systems/bench.yaml", "libfabric@1.22.0"),
        ("hwloc", "stacks/mini.yaml", "provider: spack\n    gpu: nvidia"),
    ],
)
def test_what_was_dropped_is_told_where_it_is_asked_for(
    site: Site, package: str, file: str, at: str
) -> None:
    lock = from_source()
    wrong = {"name": package, "arch": {"target": {"name": "zen4"}}}
    used = {**lock["concrete_specs"]["nccl"], "version": "1.22.0", **wrong}
    lock["concrete_specs"][package] = used

    with pytest.raises(StackwrightError, match=f"{package} is for zen4, not x86_64") as caught:
        check(lock, plan_of(site, SOURCE), None, site)
    assert str(caught.value.where) == place(site, file, at)


def test_what_another_architecture_needs_spack_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    other = "power9le" if platform.machine() != "ppc64le" else "x86_64"
    plan = plan_of(site, SOURCE)
    plan = plan.model_copy(update={"machine": plan.machine.model_copy(update={"target": other})})
    nowhere = Checkout(tmp_path / "no-spack", "1.1.0", "", "")

    with pytest.raises(StackwrightError, match=f"Spack decides on {platform.machine()} for"):
        concretize(plan, None, site, nowhere, None, Store(tmp_path), Runner(), seconds=1)


# Fresh, stale, missing


@BOTH
def test_a_label_with_both_locks_is_locked(site: Site, dialect: Dialect) -> None:
    write_both(site, dialect)

    assert locked(plan_of(site), site).label == LABEL


@BOTH
def test_the_recipe_has_the_environment_and_its_lock(site: Site, dialect: Dialect) -> None:
    lock, _ = write_both(site, dialect)

    recipe = render(plan_of(site), lock, site)

    assert json.loads(recipe.files["spack/spack.lock"]) == recorded(dialect).lock
    assert {"spack/spack.yaml", "spack-install.sh"} <= recipe.files.keys()
    assert recipe.settings["SPACK_TREE"] == recorded(dialect).spack.tree


def state(site: Site, capsys: pytest.CaptureFixture[str], label: str = LABEL) -> tuple[str, str]:
    main(["--site", str(site.root), "lock", label, "--check", "--json"])
    (entry,) = json.loads(capsys.readouterr().out)
    return entry["state"], entry["next"]


def test_a_lock_is_fresh_until_what_is_asked_changes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    write_both(site, DIALECTS[0])
    assert state(site, capsys) == ("fresh", None)

    template = site.root / "recipes" / "spack.yaml.j2"
    template.write_text(template.read_text().replace("unify: true", "unify: false"))

    assert state(site, capsys) == ("stale", f"stackwright lock '{LABEL}'")


def test_a_lock_that_was_edited_is_fresh_to_nobody(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever edits a lock can compute what it says that was asked."""
    _, path = write_both(site, DIALECTS[0])
    path.write_text(path.read_text().replace('"version": "4.1.2"', '"version": "4.1.1"'))

    assert state(site, capsys)[0] == "unusable"
    with pytest.raises(StackwrightError, match=r"py-mpi4py is 4\.1\.1, not 4\.1\.2"):
        spack_locked(plan_of(site), lock_of_wheels(plan_of(site), site), site)


def test_a_label_that_spack_was_never_asked_for_is_missing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in (LABEL, SOURCE):
        assert state(site, capsys, label) == ("missing", f"stackwright lock '{label}'")


def test_wheels_that_were_never_locked_come_first(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--site", str(site.root), "lock", LABEL]) != 0
    assert "hint: stackwright lock 'mini/1.0-cpu@bench'" in capsys.readouterr().err


def test_what_is_made_from_source_is_planned_and_rendered_without_spack(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("STACKWRIGHT_STORE", str(tmp_path / "store"))

    assert main(["--site", str(site.root), "plan", SOURCE]) == 0
    assert "made from source" in capsys.readouterr().out
    assert main(["--site", str(site.root), "render", SOURCE, "-o", str(tmp_path / "out")]) == 0
    assert f"spack -e {tmp_path / 'out'}/spack concretize" in capsys.readouterr().out
    assert (tmp_path / "out" / "spack" / "spack.yaml").is_file()


# Differences


@BOTH
def test_a_lock_differs_from_itself_in_nothing(dialect: Dialect) -> None:
    assert differences(recorded(dialect), recorded(dialect)) == []


def test_what_differs_is_told_by_package() -> None:
    found = recorded(DIALECTS[1])
    old, new = lock_of(DIALECTS[1]), lock_of(DIALECTS[1])
    spec(new, "py-numpy")["version"] = "2.3.0"
    spec(new, "py-mpich")["parameters"]["device"] = ["ch4", "ofi"]
    spec(new, "py-mpi4py")["arch"]["target"] = "zen4"
    spec(new, "py-installer")["compiler"]["version"] = "13.1.0"
    drop(old)

    was, now = (found.model_copy(update={"lock": lock}) for lock in (old, new))
    assert told(differences(was, now)) == [
        "py-installer compiler gcc@12.2.0 -> gcc@13.1.0",
        "py-mpi4py target x86_64 -> zen4",
        "py-mpich (absent) -> 5.0.2",
        "py-numpy 2.2.6 -> 2.3.0",
    ]


def compiled_by(*versions: str) -> SpackLock:
    """A lock of Spack 1 with a package for each version of GCC, which is a package itself."""
    arch = {"arch": {"target": "zen3"}, "namespace": "builtin"}
    edge = {"parameters": {"deptypes": ["build"], "virtuals": ["c", "cxx"]}}
    specs: dict[str, Any] = {}
    for version in versions:
        specs[f"gcc{version}"] = {"name": "gcc", "version": version, **arch, "external": {}}
        specs[f"hpl{version}"] = {
            "name": "hpl",
            "version": f"2.{version}",
            **arch,
            "dependencies": [{"name": "gcc", "hash": f"gcc{version}", **edge}],
        }
    return recorded(DIALECTS[0]).model_copy(update={"lock": {"concrete_specs": specs}})


def test_a_compiler_that_is_a_package_is_told_of_each_that_it_compiled() -> None:
    old, new = compiled_by("12"), compiled_by("13")

    assert told(differences(old, new)) == [
        "gcc 12 -> 13",
        "hpl 2.12 -> 2.13, compiler gcc@12 -> gcc@13",
    ]


def test_of_a_package_that_is_there_twice_those_of_one_version_are_compared() -> None:
    old, new = compiled_by("12"), compiled_by("11", "12")

    assert told(differences(old, new)) == ["gcc (absent) -> 11", "hpl (absent) -> 2.11"]


def test_another_spack_is_a_difference() -> None:
    old = recorded(DIALECTS[0])
    spack = old.spack.model_copy(update={"version": "1.2.0", "commit": "0" * 40})

    assert told(differences(old, old.model_copy(update={"spack": spack}))) == [
        f"solver: spack {old.spack.version} -> 1.2.0, commit {old.spack.commit} -> {'0' * 40}"
    ]


# Refusals, as the real ones were


UNSATISFIABLE = """\
==> Error: failed to concretize `py-h5py@=3.16.0`, `py-mpich@=5.0.2` for the following reasons:
     1. Cannot satisfy 'py-numpy@3:' 4(2.4.6)
        required because py-h5py depends on py-numpy@3:
          required because py-h5py@=3.16.0 requested explicitly
     2. Cannot satisfy 'py-numpy@3:' 2(2.4.6). You could consider setting `concretizer:unify` to \
`when_possible` or `false` to allow multiple versions of some packages.
"""
NO_VARIANT = "==> Error: No such variant {'mkl'} for spec: 'py-numpy@=2.4.6+mkl'\n"


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            UNSATISFIABLE,
            [
                "  Cannot satisfy 'py-numpy@3:' 4(2.4.6), as py-h5py depends on py-numpy@3:",
                "  Cannot satisfy 'py-numpy@3:' 2(2.4.6)",
            ],
        ),
        (NO_VARIANT, ["  No such variant {'mkl'} for spec: 'py-numpy@=2.4.6+mkl'"]),
    ],
)
def test_a_refusal_is_told_by_its_reasons(site: Site, said: str, lines: list[str]) -> None:
    error = explain(said.splitlines(), plan_of(site), site)

    assert error is not None
    assert error.what.splitlines()[1:] == lines
    assert "stacks/mini.yaml" in str(error)


def test_what_no_recipe_has_is_told(site: Site) -> None:
    answer = [
        {"spec": "py-torch@9.9 +mpi", "kind": "version", "named": "9.9", "offers": ["2.9.0"]},
        {"spec": "fftw +opnmp", "kind": "variant", "named": "opnmp", "offers": ["openmp"]},
        {"spec": "ftw", "kind": "package", "named": "ftw", "offers": ["fftw"]},
        {"spec": "mpi@3:", "kind": "virtual", "named": "mpi", "offers": ["mpich", "openmpi"]},
    ]
    check_known("[]", plan_of(site), site)

    with pytest.raises(StackwrightError) as caught:
        check_known(f"==> Warning: some\n{json.dumps(answer)}\n", plan_of(site), site)

    assert caught.value.what.splitlines()[1:] == [
        "  py-torch@9.9 +mpi: there are the versions 2.9.0",
        "  fftw +opnmp: there is no variant 'opnmp' of fftw (did you mean 'openmp'?)",
        "  ftw: there is no package 'ftw' (did you mean 'fftw'?)",
        "  mpi@3:: it is no package; those that provide it are mpich, openmpi",
    ]


CONFLICT = """\
==> Error: failed to concretize `py-torch@2.9.0+gloo`, `nccl+cuda` for the following reasons:
     1. nccl: '~cuda' conflicts with '+cuda'
        required because osu-micro-benchmarks depends on nccl
"""
LOST = "==> Error: failed to concretize for the following reasons:\n     1. no libfabric@1.22.0\n"
NOTHING = "==> Error: failed to concretize for the following reasons:\n     1. no hwloc@2.11\n"


@pytest.mark.parametrize(
    ("said", "file", "at"),
    [
        (
            CONFLICT,
            "stacks/mini.yaml",
            "nccl +cuda",
        ),  # what all asked for comes before is no reason
        (NO_VARIANT.replace("py-numpy@=2.4.6", "py-torch@2.9.0"), "stacks/mini.yaml", "py-torch@"),
        (LOST, "systems/bench.yaml", "libfabric@1.22.0"),
        (NOTHING, "stacks/mini.yaml", "provider: spack\n    gpu: nvidia"),
    ],
)
def test_a_refusal_points_to_the_spec_of_the_package_that_it_names(
    site: Site, said: str, file: str, at: str
) -> None:
    """Of the stack or of the system; to the variant, where neither asks for it itself."""
    error = explain(said.splitlines(), plan_of(site, SOURCE), site)

    assert error is not None
    assert str(error.where) == place(site, file, at)


def place(site: Site, file: str, text: str) -> str:
    """Where a text is that a file has once, as errors say it."""
    path = site.root / file
    before, found, _ = path.read_text().partition(text)
    assert found
    last = before.rpartition("\n")[2]
    return f"{path}:{before.count(chr(10)) + 1}:{len(last) + 1}"


def test_many_reasons_are_cut(site: Site) -> None:
    said = ["==> Error: for the following reasons:", *(f"  {n}. no {n}" for n in range(1, 9))]

    error = explain(said, plan_of(site), site)

    assert error is not None
    assert error.what.splitlines()[-1] == "  and 3 more"


def test_what_is_no_refusal_is_left_to_others(site: Site) -> None:
    assert explain(["Killed"], plan_of(site), site) is None


def test_a_newer_base_of_its_own_stays(site: Site) -> None:
    """`lock --base-only` of the label has taken it; asking Spack again must not take it back."""
    lock, _ = write_both(site, DIALECTS[0])
    newer = lock.model_copy(
        update={"base": lock.base.model_copy(update={"digest": f"sha256:{'9' * 64}"})}
    )
    site.lock_file(parse(LABEL)).write_bytes(newer.to_json())

    assert lock_of_wheels(plan_of(site), site) == newer


def test_other_wheels_are_taken_with_the_base_that_they_were_locked_with(site: Site) -> None:
    lock, _ = write_both(site, DIALECTS[0])
    wheels = lock.wheels.model_copy(update={"layers": lock.wheels.layers[:1]})
    older = lock.model_copy(update={"wheels": wheels})
    site.lock_file(parse(LABEL)).write_bytes(older.to_json())

    assert lock_of_wheels(plan_of(site), site) == lock
