"""The commands lock, render, build and doctor, as far as they go without the real tools."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from build_samples import LABEL, REPOSITORY, fixed_lock

from stackwright import checks
from stackwright.building.providers.steps import step_keys
from stackwright.building.recipe import render
from stackwright.checks import (
    Program,
    check_engines,
    check_host,
    check_program,
    check_room,
    check_run_root,
)
from stackwright.cli import main
from stackwright.cli.progress import duration, size
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.systems import System
from stackwright.locking.locks import Lock
from stackwright.locking.solve import solve
from stackwright.plans.plan import plan_hash, resolve
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.engines import BuildEngine
from stackwright.tools.process import Runner


def run(site: Site, *args: str) -> int:
    store = site.root.parent / "store"
    return main(["--no-color", "--site", str(site.root), "--store", str(store), *args])


def write_lock(site: Site) -> Lock:
    plan = resolve(site, parse(LABEL))
    lock = fixed_lock(plan)
    path = site.lock_file(plan.label)
    path.parent.mkdir()
    path.write_bytes(lock.to_json())
    return lock


# lock


def test_check_says_which_locks_are_missing_and_what_to_type(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "lock", LABEL, "--check") == ExitCode.FAIL

    out = capsys.readouterr().out
    assert out == f"{LABEL}: missing: it was never locked; next: stackwright lock '{LABEL}'\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("stacks/mini.yaml", "numpy==2.2.6", "numpy==2.2.5", "wheels"),
        ("systems/bench.yaml", "bookworm", "trixie", "base"),
        ("systems/bench.yaml", "target: x86_64", "target: aarch64", "base and wheels"),
    ],
)
def test_check_names_the_stale_half_and_the_command_for_it(
    site: Site,
    file: str,
    old: str,
    new: str,
    stale: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lock(site)
    path = site.root / file
    path.write_text(path.read_text().replace(old, new))

    assert run(site, "lock", LABEL, "--check") == ExitCode.FAIL

    assert capsys.readouterr().out == (
        f"{LABEL}: stale: {stale}, as the stack or the system file has changed since;"
        f" next: stackwright lock '{LABEL}'\n"
    )


def test_check_is_content_with_a_fresh_lock(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    write_lock(site)

    assert run(site, "lock", "*", "--check", "--json") == ExitCode.OK

    assert json.loads(capsys.readouterr().out) == [
        {"label": LABEL, "state": "fresh", "fresh": True, "why": None, "next": None}
    ]
    run(site, "lock", LABEL, "--check")
    assert capsys.readouterr().out == f"{LABEL}: fresh\n"


def test_a_check_of_several_locks_ends_with_how_many_there_are_of_each_kind(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lock(site)
    stack = site.root / "stacks" / "mini.yaml"
    more = """
  "1.1": {status: ga, variants: {cpu: {}}}
  "0.9": {status: retired, why: Nobody used it., variants: {cpu: {}}}
"""
    stack.write_text(stack.read_text().replace("      cpu: {}\n", f"      cpu: {{}}{more}"))

    assert run(site, "lock", "*@*", "--check") == ExitCode.FAIL

    assert capsys.readouterr().out.splitlines()[-1] == "1 fresh, 0 stale, 1 missing, 1 retired"


def test_plan_names_the_steps_that_a_build_would_do(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = write_lock(site)
    recipe = render(resolve(site, parse(LABEL)), lock, site)
    store = site.root.parent / "store"
    for name in ("base", "image"):
        key = step_keys(recipe, "buildah")[name].removeprefix("sha256:")
        (store / "steps" / name / key).mkdir(parents=True)

    assert run(site, "plan", LABEL, "--json") == ExitCode.OK

    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["steps"] == [s.name for s in recipe.steps if s.name not in ("base", "image")]


def test_a_stale_lock_is_not_called_locked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    write_lock(site)
    run(site, "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "locked"
    stack = site.root / "stacks/mini.yaml"
    stack.write_text(stack.read_text().replace("numpy==2.2.6", "numpy==2.2.5"))

    run(site, "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "planned"
    run(site, "plan")
    assert f"  first: stackwright lock '{LABEL}'" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--base-only", "--wheels-only"])
def test_there_must_be_a_lock_to_keep_a_half_of(
    site: Site, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "lock", LABEL, option) == ExitCode.USAGE

    assert f"hint: stackwright lock '{LABEL}'" in capsys.readouterr().err


def test_both_halves_cannot_be_kept(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "lock", LABEL, "--base-only", "--wheels-only") == ExitCode.USAGE

    assert "--base-only and --wheels-only exclude each other" in capsys.readouterr().err


@pytest.fixture
def solved(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the solvers are asked for, in order; they answer with what the lock has."""
    asked: list[str] = []
    old = write_lock(site)

    def base(*_: object) -> object:
        asked.append("base")
        return old.base

    def wheels(_plan: object, _site: object, _runner: object, prefer: object, *_: object) -> object:
        asked.append("wheels like before" if prefer == old.wheels else "wheels")
        return old.wheels

    monkeypatch.setattr("stackwright.locking.solve.solve_base", base)
    monkeypatch.setattr("stackwright.locking.solve.solve_wheels", wheels)
    monkeypatch.setattr("stackwright.locking.solve._base_tool", lambda *_: {"mmdebstrap": "9.9"})
    return asked


@pytest.mark.parametrize(
    ("options", "edited", "asked"),
    [
        ((), ("stacks/mini.yaml", "numpy==2.2.6", "numpy==2.2.5"), ["wheels like before"]),
        ((), ("systems/bench.yaml", "bookworm", "trixie"), ["base"]),
        (("--upgrade",), None, ["wheels", "base"]),
        (("--wheels-only",), None, ["wheels"]),
        (("--base-only",), None, ["base"]),
    ],
)
def test_what_fits_in_a_lock_stays_unless_an_option_asks_for_it_anew(
    site: Site,
    solved: list[str],
    options: tuple[str, ...],
    edited: tuple[str, str, str] | None,
    asked: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if edited:
        file, old, new = edited
        path = site.root / file
        path.write_text(path.read_text().replace(old, new))

    assert run(site, "lock", LABEL, *options) == ExitCode.OK

    assert solved == asked
    assert capsys.readouterr().err.endswith(f"next: commit it, then: stackwright build '{LABEL}'\n")


def test_a_lock_that_fits_is_left_alone(
    site: Site, solved: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "lock", LABEL) == ExitCode.OK

    assert solved == []
    assert capsys.readouterr().err == (
        f"{site.lock_file(parse(LABEL))}: fits; for newer packages:"
        f" stackwright lock --upgrade '{LABEL}'\n"
    )


def test_shipped_content_is_never_written(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "stackwright.inputs.site.find_site", lambda *_: Site(site.root, shipped=True), raising=True
    )

    assert run(site, "lock", LABEL) == ExitCode.USAGE

    err = capsys.readouterr().err
    assert "error: the content that ships with Stackwright is read-only" in err
    assert "hint: make a site of your own: stackwright init mysite" in err
    assert not (site.root / "stacks" / "locks").exists()


def test_a_half_that_is_kept_keeps_what_it_was_solved_from(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a lock would look fresh whose wheels were never solved for the stack as it is now."""
    old = write_lock(site)
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace("mpich==5.0.2", "mpich==5.0.1"))
    fresh = Site(site.root)
    plan = resolve(fresh, parse(LABEL))
    monkeypatch.setattr("stackwright.locking.solve.solve_base", lambda *_: old.base)
    monkeypatch.setattr("stackwright.locking.solve._base_tool", lambda *_: {"mmdebstrap": "9.9"})

    new = solve(plan, fresh, Store(site.root.parent / "s"), Runner(), keep_wheels=old)

    assert new.wheels == old.wheels
    assert new.inputs.wheels == old.inputs.wheels
    assert new.solved_with == {"pip": "25.0", "mmdebstrap": "9.9"}


def test_a_stack_and_a_base_with_different_pythons_are_not_locked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_lock(site)
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace('python: "3.11"', 'python: "3.12"'))
    fresh = Site(site.root)
    monkeypatch.setattr("stackwright.locking.solve.solve_base", lambda *_: old.base)
    monkeypatch.setattr("stackwright.locking.solve.solve_wheels", lambda *_: old.wheels)

    with pytest.raises(StackwrightError) as caught:
        solve(resolve(fresh, parse(LABEL)), fresh, Store(site.root.parent / "s"), Runner())

    assert caught.value.what == (
        f"{LABEL} wants Python 3.12, but the base bookworm has Python 3.11"
    )
    assert caught.value.hint == (
        'in the stack file say python: "3.11", or'
        " name python3.12 among the base's packages in the system file"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [((), "no packages changed"), (("libc6",), "1 package changed"), (("a", "b"), "2 packages ch")],
)
def test_a_new_lock_says_how_many_packages_changed(
    site: Site,
    changed: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = write_lock(site)
    packages = {**old.base.packages, **dict.fromkeys(changed, "9")}
    new = old.model_copy(update={"base": old.base.model_copy(update={"packages": packages})})
    monkeypatch.setattr("stackwright.locking.solve.solve", lambda *_, **__: new)

    assert run(site, "lock", LABEL, "--upgrade") == ExitCode.OK

    assert f"Debian packages; {said}" in capsys.readouterr().err


def test_what_was_chosen_all_the_same_is_a_warning(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_lock(site)

    def solve_with_a_word(*_: object, warn: Callable[[str], None], **__: object) -> Lock:
        warn("numpy 2.2.6 was yanked")
        return old

    monkeypatch.setattr("stackwright.locking.solve.solve", solve_with_a_word)

    assert run(site, "lock", LABEL, "--upgrade") == ExitCode.OK

    assert "\nwarning: numpy 2.2.6 was yanked\n" in capsys.readouterr().err


def test_an_old_lock_with_another_python_is_neither_fresh_nor_built(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace('python: "3.11"', 'python: "3.12"'))
    write_lock(site)
    what = f"{LABEL} wants Python 3.12, but the base bookworm has Python 3.11"

    assert run(site, "lock", LABEL, "--check") == ExitCode.FAIL
    assert capsys.readouterr().out.startswith(f"{LABEL}: unusable: {what}; next: in the stack file")
    assert run(site, "build", LABEL) == ExitCode.USAGE
    assert f": {what}\nhint: in the stack file say python" in capsys.readouterr().err


# render


def test_render_writes_a_recipe_and_says_how_to_run_it(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lock(site)

    assert run(site, "render", LABEL, "-o", str(tmp_path / "recipe")) == ExitCode.OK

    count = sum(path.is_file() for path in (tmp_path / "recipe").rglob("*"))
    assert capsys.readouterr().out == (
        f"{count} files in {tmp_path}/recipe; next: sh {tmp_path}/recipe/build.sh\n"
    )


# build


@pytest.mark.parametrize("command", [["build", LABEL], ["render", LABEL, "-o", "x"]])
def test_without_a_lock_nothing_is_built(
    site: Site, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, *command) == ExitCode.USAGE

    err = capsys.readouterr().err
    assert err == f"error: {LABEL} has no lock\nhint: stackwright lock '{LABEL}'\n"


def test_a_host_without_engines_names_each_and_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lock(site)
    monkeypatch.setattr("stackwright.tools.engines.find", lambda _name: None)

    assert run(site, "build", LABEL) == ExitCode.USAGE

    err = capsys.readouterr().err.splitlines()
    assert err[:4] == [
        "error: no container engine works here",
        "  podman is not installed",
        "  buildah is not installed",
        "  docker is not installed",
    ]
    assert "apt-get install podman" in err[4]


FAKE_DOCKER = """#!/bin/sh
[ "$1" = --version ] && exec echo Docker version 9
echo DEPRECATED: the legacy builder is deprecated and fails sometimes
echo
echo "ERROR: Cannot connect to the Docker daemon at unix:///no.sock. Is it running?"
echo
echo "Run 'docker build --help' for more information"
exit 1
"""


def test_an_engine_that_was_named_says_itself_what_is_wrong(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lock(site)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(FAKE_DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    (tmp_path / "bin" / "cc").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    assert run(site, "build", LABEL, "--engine", "docker") == ExitCode.USAGE

    assert capsys.readouterr().err.splitlines()[-2:] == [
        "error: docker runs no container here: "
        "ERROR: Cannot connect to the Docker daemon at unix:///no.sock. Is it running?",
        "hint: start its daemon (systemctl start docker), or use another engine;"
        " `stackwright doctor` tries every engine",
    ]


FAKE_ENGINE = """#!/bin/sh
# Says that it is podman and then takes for ever, with a child.
case $1 in
--version) echo podman version 9; exit ;;
rmi) exit ;;
esac
sleep 1000 & echo $! >"$PID_FILE.new"; mv "$PID_FILE.new" "$PID_FILE"; wait
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_an_interrupted_build_ends_its_tools(
    site: Site, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write_lock(site)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "podman").write_text(FAKE_ENGINE)
    (tmp_path / "bin" / "podman").chmod(0o755)
    (tmp_path / "bin" / "cc").symlink_to("/bin/true")
    pid_file = tmp_path / "pid"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    build = subprocess.Popen(
        [sys.executable, "-m", "stackwright", "--site", site.root, "build", LABEL],
        env={
            **os.environ,
            "PATH": path,
            "PID_FILE": str(pid_file),
            "STACKWRIGHT_STORE": str(tmp_path / "store"),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    while not pid_file.exists():
        assert build.poll() is None
        time.sleep(0.02)

    build.send_signal(number)

    assert build.wait(timeout=30) == code
    assert build.stderr is not None
    said = build.stderr.read()
    build.stderr.close()
    assert said.endswith(f"to go on: stackwright build '{LABEL}'\ninterrupted\n")
    child = int(pid_file.read_text())
    for _ in range(500):
        status = Path(f"/proc/{child}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the tool's child still runs")


def test_what_imports_cost_when_there_is_nothing_to_do(site: Site) -> None:
    """A build that has nothing to do must not pay for solving, signing or rendering."""
    code = (
        "import sys; from stackwright.cli import main;"
        f" main(['--site', {str(site.root)!r}, 'build', '--help']);"
        " print(*sys.modules, sep='\\n')"
    )

    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"jinja2", "cryptography", "rich.live", "stackwright.locking.solve"} & {*modules}


# doctor


@pytest.fixture
def system(site: Site) -> System:
    return site.system("bench")


@pytest.mark.parametrize(
    ("have", "status"), [("2.36", "ok"), ("2.100", "ok"), ("2.35", "missing"), ("", "missing")]
)
def test_glibc_must_not_be_older_than_the_systems(system: System, have: str, status: str) -> None:
    rows = {row.name: row for row in check_host({"glibc": have}, system)}
    assert rows["glibc"].status == status


def test_less_than_the_system_has_is_told_by_doctor(system: System) -> None:
    (row,) = [row for row in check_host({"cores": 1}, system) if row.name == "cores"]
    assert (row.status, row.found) == ("differs", "1, the system has 2")
    assert "mend systems/bench.yaml" in row.advice


@pytest.mark.parametrize(("gib", "status"), [(21, "ok"), (19, "warning"), (4, "missing")])
def test_room_in_the_store(
    gib: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage: Any = type("Usage", (), {"free": gib * 2**30})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)

    assert check_room(tmp_path / "not" / "yet").status == status


def test_one_engine_is_enough_and_its_workaround_is_named() -> None:
    def probe(name: str) -> BuildEngine:
        if name == "docker":
            raise StackwrightError("docker runs no container here: no daemon")
        return BuildEngine(name, f"{name} version 4.3.1", {}, "with runc")

    rows = [*check_engines(probe)]

    assert [(row.name, row.status) for row in rows] == [
        ("podman", "ok"),
        ("buildah", "ok"),
        ("docker", "warning"),
    ]
    assert rows[0].found == "4.3.1, works with runc"
    assert rows[2].advice == "not needed: another works"


def test_an_engine_is_tried_for_somebody_who_may_not_write_to_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = f'case "$1" in --version) echo podman 4.3.1;; run) exit {engines.PROBE_EXIT_CODE};; esac'
    for name, text in {"podman": runs, "cc": "true"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    store = Store(tmp_path / "store")
    store.root.mkdir()
    (store.root / "engines").touch()  # so that not even root makes a file below it

    found = engines.probe("podman", store, Runner())

    assert (found.version, found.workaround) == ("podman 4.3.1", "")
    assert engines.used_here(["podman"], store) is None  # nothing could be remembered


@pytest.mark.skipif(shutil.which("podman") is None, reason="needs: apt-get install podman")
@pytest.mark.parametrize(("length", "rows"), [(50, 0), (51, 1)])
def test_a_run_root_too_long_for_podmans_own_clean_up_is_named(
    length: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        run_root = f"{folder}/{'r' * (length - len(folder) - 1)}"
        conf = Path(folder, "storage.conf")
        conf.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{run_root}"\n'
        )
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(conf))
        found = [*check_run_root(Runner())]
        subprocess.run(["umount", f"{folder}/root/overlay"], capture_output=True, check=False)

    assert len(found) == rows
    assert all(run_root in row.found and row.status == "warning" for row in found)


def test_no_engine_is_a_row_of_its_own() -> None:
    def probe(name: str) -> BuildEngine:
        raise StackwrightError("not installed")

    last = [*check_engines(probe)][-1]

    assert (last.name, last.status) == ("container engine", "missing")
    assert "apt-get install" in last.advice


def test_a_missing_program_names_its_package() -> None:
    needed = check_program(Program("mmdebstrap-x", "mmdebstrap"), Runner())

    assert (needed.status, needed.advice) == ("warning", "apt-get install mmdebstrap")


@pytest.mark.parametrize(
    ("status", "code"), [("ok", 0), ("warning", 0), ("differs", 1), ("missing", 1)]
)
def test_doctor_ends_with_1_if_something_needed_is_missing_or_the_file_states_otherwise(
    site: Site,
    status: checks.Status,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = checks.Check("umoci", status, "not found", "apt-get install umoci")
    monkeypatch.setattr("stackwright.checks.all_checks", lambda *_: iter([row]))

    assert run(site, "doctor", "--json") == code

    assert json.loads(capsys.readouterr().out)["ready"] == (code == 0)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("warning", "this machine can build and validate for 'bench'"),
        (
            "differs",
            "this machine can build for 'bench', but is not as its file states: see cores",
        ),
        ("missing", "this machine cannot build and validate for 'bench': see cores"),
    ],
)
def test_doctor_s_last_line_says_what_the_machine_is_good_for(
    site: Site,
    status: checks.Status,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [checks.Check("cores", status, "1"), checks.Check("cc", "ok", "12.2.0")]
    monkeypatch.setattr("stackwright.checks.all_checks", lambda *_: iter(rows))

    run(site, "doctor")

    assert capsys.readouterr().out.splitlines()[-1] == said


def test_doctor_s_lines_have_no_blanks_at_their_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        checks.Check("umoci", "missing", "not found", "apt-get install umoci"),
        checks.Check("cc", "ok", "12.2.0 " + "x" * 300),
    ]
    monkeypatch.setattr("stackwright.checks.all_checks", lambda *_: iter(rows))

    run(site, "doctor")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines == [line.rstrip() for line in lines]


def test_the_list_of_programs_is_the_one_that_make_setup_installs() -> None:
    programs = checks.read_programs(REPOSITORY / "setup" / "debian-packages.txt")

    assert Program("mksquashfs", "squashfs-tools") in programs
    assert {"mmdebstrap", "skopeo", "umoci", "cc"} <= {program.name for program in programs}


@pytest.mark.real
def test_doctor_on_this_machine_leaves_no_image_behind(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    def images() -> str:
        return subprocess.run(
            ["podman", "images", "-a", "-q"], capture_output=True, text=True, check=True
        ).stdout

    before = images()

    code = run(site, "doctor", "--json")

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    bad = any(row["status"] in ("differs", "missing") for row in rows.values())
    assert code == (ExitCode.FAIL if bad else 0)
    assert rows["Lmod"]["status"] == "ok"
    assert set(before.split()) >= set(images().split())


# Figures for people


def test_durations_and_sizes() -> None:
    assert [duration(s) for s in (0.04, 9.94, 59.4, 61, 3600)] == [
        "0.0 s",
        "9.9 s",
        "59 s",
        "1 min 01 s",
        "60 min 00 s",
    ]
    assert [size(n) for n in (0, 999, 1500, 98_765_432, 1_300_000_000)] == [
        "0 B",
        "999 B",
        "2 kB",
        "99 MB",
        "1.3 GB",
    ]


def test_a_record_of_another_label_is_not_this_ones(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copied there, it would be released by the rules of this label's stack."""
    write_lock(site)
    plan = resolve(site, parse(LABEL))
    store = Store(site.root.parent / "store")
    (store.root / "steps" / "x").mkdir(parents=True)
    part = {"digest": "sha256:" + "a" * 64, "path": "steps/x", "bytes": 1}
    record = {
        "schema": "stackwright/artefact/1",
        "label": LABEL.replace("mini/", "other/"),
        "plan_hash": plan_hash(plan),
        "image": {"digest": part["digest"], "config": part["digest"], "oci": "steps/x", "bytes": 1},
        "squashfs": part,
        "prefix": part,
    }
    path = store.artefact_path(plan_hash(plan))
    path.parent.mkdir()
    path.write_text(json.dumps(record))

    assert run(site, "validate", LABEL, "--suite", "smoke") == ExitCode.INVALID
    assert f"the record of {LABEL} is one of other/" in capsys.readouterr().err
