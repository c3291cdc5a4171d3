"""The real Spack on the small stack: seconds for a question, no network, nothing of the user's."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from spack_samples import (
    HERE,
    LABEL,
    REPOSITORY,
    needs_spack,
    plan_of,
    recorded,
    spack_roots,
    wheels_of,
    write_wheels,
)

from stackwright.building.providers.scripts import write_files
from stackwright.cli import main
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.spack.concretize import concretize
from stackwright.spack.dialect import dialect_of
from stackwright.spack.environment import render_environment
from stackwright.spack.lockfile import SpackLock, load_spack_lock
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.spack import (
    ROOT,
    Checkout,
    TimedOut,
    checked_out,
    find_packages,
    find_spack,
    run_spack,
)

pytestmark = [pytest.mark.real, needs_spack]


@pytest.fixture(params=spack_roots(), ids=lambda root: root.name)
def spack(request: pytest.FixtureRequest) -> Checkout:
    return find_spack(Runner(), {ROOT: str(request.param)})


def builtin(spack: Checkout) -> Checkout | None:
    """Spack's own packages, which some have in a repository of theirs."""
    try:
        return find_packages(spack, Runner(), os.environ)
    except StackwrightError as error:
        pytest.skip(f"needs Spack's packages: {error.hint}")


def ask(site: Site, spack: Checkout, store: Path, seconds: int = 600) -> SpackLock:
    plan, lock = plan_of(site), wheels_of(site)
    return concretize(plan, lock, site, spack, None, Store(store), Runner(), seconds=seconds)


def test_the_real_spack_decides_what_was_recorded(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/spack` records anew what tests without Spack read."""
    found = ask(site, spack, tmp_path / "store")
    dialect = dialect_of(spack.version)
    if os.environ.get("UPDATE_GOLDEN"):
        (HERE / "recorded").mkdir(exist_ok=True)
        (HERE / "recorded" / f"{dialect.series}.spack.json").write_bytes(found.to_json())

    assert found.lock["concrete_specs"].keys() == recorded(dialect).lock["concrete_specs"].keys()
    assert found.lock["_meta"]["lockfile-version"] == dialect.lock_version


def test_a_configuration_that_lies_in_the_checkout_is_not_read(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    """Git doesn't know the file, so that the lock couldn't say what decided it."""
    mine = tmp_path / "spack"
    shutil.copytree(spack.root, mine, symlinks=True)
    (mine / "etc" / "spack" / "site").mkdir(parents=True, exist_ok=True)
    told = "packages: {py-mpi4py: {require: ['@0.0']}}\n"
    (mine / "etc" / "spack" / "site" / "packages.yaml").write_text(told)
    other = find_spack(Runner(), {ROOT: str(mine)})

    found = ask(site, other, tmp_path / "store")

    series = dialect_of(spack.version)
    assert found.lock["concrete_specs"].keys() == recorded(series).lock["concrete_specs"].keys()


def test_spack_knows_a_lock_that_was_edited(site: Site, spack: Checkout, tmp_path: Path) -> None:
    """By the program that a build runs before anything else."""
    found = ask(site, spack, tmp_path / "store")
    program = str(REPOSITORY / "images" / "spack_hashes.py")
    environment = tmp_path / "work" / "environment"
    plan, lock = plan_of(site), wheels_of(site)
    write_files(render_environment(plan, lock, dialect_of(spack.version), site), environment)

    def compared(lock: bytes, name: str) -> str:
        (environment / "spack.lock").write_bytes(lock)
        work = tmp_path / name
        work.mkdir()
        argv = ["-e", str(environment), "python", program]
        return run_spack(spack, argv, Runner(), work=work, cache=tmp_path / "cache", seconds=600)

    compared(found.spack_lock, "honest")
    edited = json.loads(found.spack_lock)
    node = next(n for n in edited["concrete_specs"].values() if n["name"] == "py-mpi4py")
    node["version"] = "4.1.1"

    with pytest.raises(ToolError, match=r"py-mpi4py/.*: its hash is of something else"):
        compared(json.dumps(edited).encode(), "edited")


def test_spack_writes_nothing_but_what_it_is_given(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in written(spack.root)}

    ask(site, spack, tmp_path / "store")

    assert {path: path.stat().st_mtime_ns for path in written(spack.root)} == before
    assert checked_out(spack.root, Runner()) == (spack.commit, spack.tree)


def written(root: Path) -> list[Path]:
    """What Spack would write into its own tree, and the configuration it would write for all."""
    return [
        path
        for folder in ("etc/spack", "var/spack", "opt", "share/spack/modules")
        for path in (root / folder).rglob("*")
        if "repos" not in path.parts and "__pycache__" not in path.parts
    ]


def test_nothing_of_the_user_is_read(
    site: Site, spack: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".spack").mkdir(parents=True)
    (home / ".spack" / "packages.yaml").write_text("packages: {all: {require: ['@:never']}}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SPACK_USER_CONFIG_PATH", str(home / ".spack"))
    monkeypatch.setenv("SPACK_ENV", str(home))

    found = ask(site, spack, tmp_path / "store")

    assert (
        found.lock["concrete_specs"].keys()
        == recorded(dialect_of(spack.version)).lock["concrete_specs"].keys()
    )


def test_what_can_not_be_is_told_in_a_few_lines(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    own = site.root / "recipes" / "systems" / "bench" / "spack_repo" / "wheel.py.j2"
    own.parent.mkdir(parents=True)
    own.write_text(
        '{% extends "spack_repo/wheel.py.j2" %}\n{% block dependencies %}\n'
        '{% if package.project == "mpi4py" %}\n'
        '    depends_on("py-numpy@3:", type="run")\n'
        "{% endif %}\n{{ super() }}{% endblock %}\n"
    )

    with pytest.raises(StackwrightError) as caught:
        ask(site, spack, tmp_path / "store")

    what = caught.value.what.splitlines()
    assert what[0] == f"Spack finds no solution for {LABEL}:"
    assert any("py-numpy@3:" in line for line in what[1:])
    assert len(what) <= 7
    assert "stackwright render" in str(caught.value.hint)


COMMITS = REPOSITORY / "images" / "spack_commits.py"
COMMIT = "6703f7504a38a8da96b353cadafa64d3c2d7a2d3"


@pytest.mark.long  # minutes: Spack looks at all its packages
@pytest.mark.parametrize(
    ("spec", "commits"),
    [
        ("stream@5.10", None),  # Spack's recipe takes whatever the repository has
        (f"stream@git.{COMMIT}=5.10", [COMMIT]),
        # And this one's takes whatever psimd's repository has: images/spack_pins.json
        (
            "fp16@2020-05-14",
            [
                "4dfe081cf6bcd15db339cf2680b9281b8451eeb3",
                "072586a71b55b7f8c584153d223e95687148a900",
            ],
        ),
    ],
)
def test_a_source_without_hash_is_refused_before_it_is_fetched(
    spack: Checkout, spec: str, commits: list[str] | None, tmp_path: Path
) -> None:
    packages, dialect = builtin(spack), dialect_of(spack.version)
    site = Site(REPOSITORY)
    plan = resolve(site, parse("tools/2026.11-source@local"))
    plan = plan.model_copy(update={"packages": (spec,)})
    store = Store(tmp_path / "store")
    found = concretize(plan, None, site, spack, packages, store, Runner(), seconds=600)
    environment = tmp_path / "environment"
    write_files(render_environment(plan, None, dialect, site), environment)
    (environment / "spack.lock").write_bytes(found.spack_lock)

    def ask() -> list[str]:
        said = run_spack(
            *(spack, ["-e", str(environment), "python", str(COMMITS)], Runner()),
            work=tmp_path,
            cache=tmp_path / "cache",
            seconds=600,
            packages=packages,
        )
        return [source["commit"] for source in json.loads(said.splitlines()[-1])]

    if commits is None:
        with pytest.raises(ToolError, match=r"stream/\w+: its recipe has neither hash nor commit"):
            ask()
        return
    assert ask() == commits

    other = json.loads(found.spack_lock)
    for node in other["concrete_specs"].values():  # Spack 1 takes the commit that a lock says
        if "commit" in node["parameters"]:
            node["parameters"]["commit"] = 5 * "deadbeef"
            (environment / "spack.lock").write_text(json.dumps(other))
            with pytest.raises(ToolError, match="its lock has the commit deadbeef"):
                ask()


NOT_THERE = {
    "ninja@9.9": "there are the versions 1.",
    f"stream@git.{COMMIT}=5.9": "there are the versions 5.10",
    "ncurses +termlip": "there is no variant 'termlip' of ncurses (did you mean 'termlib'?)",
}


@pytest.mark.parametrize(
    "lacking",
    [
        pytest.param(NOT_THERE, id="versions and variants"),
        pytest.param(
            {
                "bzip22": "there is no package 'bzip22' (did you mean 'bzip2'?)",
                "mpi@3:": "it is no package; those that provide it are ",
            },
            id="packages",
            marks=pytest.mark.long,  # minutes: Spack looks at all its packages
        ),
    ],
)
def test_what_no_recipe_has_is_told_before_its_solver_looks_for_it(
    spack: Checkout, lacking: dict[str, str], tmp_path: Path
) -> None:
    packages = builtin(spack)
    site = Site(REPOSITORY)
    plan = resolve(site, parse("tools/2026.11-source@local"))
    there = ("bzip2@1.0.8 +shared", "fftw@3.3:", f"stream@git.{COMMIT}=5.10")
    plan = plan.model_copy(update={"packages": (*lacking, *there)})

    with pytest.raises(StackwrightError) as caught:
        concretize(plan, None, site, spack, packages, Store(tmp_path), Runner(), seconds=600)

    _, *lines = caught.value.what.splitlines()
    for (spec, said), line in zip(lacking.items(), lines, strict=True):
        assert line.startswith(f"  {spec}: {said}"), line
    assert "stacks/tools.yaml" in str(caught.value)


def test_spack_is_ended_when_its_time_is_over(site: Site, spack: Checkout, tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match="did not end within 1 s"):
        ask(site, spack, tmp_path / "store", seconds=1)

    assert [*(tmp_path / "store" / "work").iterdir()] == []


def test_spack_itself_accepts_every_file(site: Site, spack: Checkout, tmp_path: Path) -> None:
    """Its own schemas: what it reads of a rendered environment is what was rendered."""
    from stackwright.building.providers.scripts import write_files
    from stackwright.spack.environment import render_environment
    from stackwright.tools.spack import run_spack

    dialect = dialect_of(spack.version)
    files = render_environment(plan_of(site), wheels_of(site), dialect, site)
    work = tmp_path / "work"
    work.mkdir()
    write_files(files, work / "environment")
    for number, section in enumerate(("packages", "config", "repos", "mirrors", "modules")):
        out = tmp_path / str(number)
        out.mkdir()
        arguments = ["-e", str(work / "environment"), "config", "get", section]
        said = run_spack(
            spack, arguments, Runner(), work=out, cache=tmp_path / "cache", seconds=600
        )
        assert section in yaml.safe_load(said)


def test_a_label_is_locked_and_found_fresh_without_spack(
    site: Site,
    spack: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_wheels(site)
    monkeypatch.setenv("STACKWRIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv(ROOT, str(spack.root))
    assert main(["--site", str(site.root), "lock", LABEL]) == 0
    said = capsys.readouterr().err
    assert f"packages by Spack {spack.version}" in said
    found = load_spack_lock(site.spack_lock_file(parse(LABEL)), parse(LABEL))
    assert (found.spack.commit, found.packages) == (spack.commit, None)

    monkeypatch.setenv(ROOT, "/nowhere")
    assert main(["--site", str(site.root), "lock", LABEL, "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "fresh"
    assert main(["--site", str(site.root), "lock", LABEL]) == 0
    assert "fits" in capsys.readouterr().err


def test_the_committed_lock_is_what_spack_decides(spack: Checkout, tmp_path: Path) -> None:
    site = Site(REPOSITORY)
    label = parse("pytorch/2.13.0-spack@local")
    committed = load_spack_lock(site.spack_lock_file(label), label)
    if dialect_of(committed.spack.version) != dialect_of(spack.version):
        pytest.skip(f"the committed lock was made by Spack {committed.spack.version}")
    from stackwright.spack.wheels import lock_of_wheels

    plan = resolve(site, label)
    lock = lock_of_wheels(plan, site)

    found = concretize(plan, lock, site, spack, None, Store(tmp_path), Runner(), seconds=600)

    assert found.lock["concrete_specs"].keys() == committed.lock["concrete_specs"].keys()
