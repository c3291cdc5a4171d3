"""The command line: what users see and what scripts rely on."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stackwright.cli import main
from stackwright.cli.app import COMMANDS, as_stackwright_error, group
from stackwright.errors import ExitCode
from stackwright.release.places import Misplaced


@pytest.fixture(autouse=True)
def store(site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder.parent / "store"))
    monkeypatch.setenv("NO_COLOR", "1")
    return site_folder.parent / "store"


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(args)
    out, err = capsys.readouterr()
    return code, out, err


def build(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Put into the store what a build of demo/2.10-cpu@laptop leaves there."""
    _, out, _ = run(capsys, "plan", "demo/2.10-cpu@laptop", "--json")
    (entry,) = json.loads(out)
    own = store / "steps/prefix/1/prefix/share/stackwright"
    own.mkdir(parents=True)
    (own / "plan.json").write_text(json.dumps(entry["plan"]))
    (store / "artefacts").mkdir()
    record = {
        "label": entry["label"],
        "plan_hash": entry["plan_hash"],
        "prefix": {"path": "steps/prefix/1/prefix"},
    }
    (store / "artefacts" / "1.json").write_text(json.dumps(record))


def test_list_shows_every_label(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")

    assert code == ExitCode.OK
    assert [line.split() for line in out.splitlines() if "/" in line] == [
        ["demo/1.9-cpu@laptop", "retired", "retired", "2025-01-31"],
        ["demo/1.9-cpu@summit-like", "retired", "retired", "2025-01-31"],
        ["demo/2.10-cpu@laptop", "ga", "planned", "no", "lock"],
        ["demo/2.10-cpu@summit-like", "ga", "planned", "no", "lock"],
        ["demo/2.10-cuda@summit-like", "ga", "planned", "no", "lock"],
        ["demo/2.10-cuda@laptop", "ga", "refused", "needs", "GPUs", "of", "nvidia"],
    ]


def test_list_says_once_that_the_store_of_several_systems_has_moved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Misplaced("demo/2.10-cpu", "/old", "demo/2.10-cpu@laptop")]
    monkeypatch.setattr("stackwright.cli.strays.strays", lambda *_: found)

    _, out, err = run(capsys, "list", "demo/2.10-cpu@*")

    assert len([line for line in out.splitlines() if "demo/2.10-cpu@" in line]) == 2
    assert err.count("the store has moved: `module load demo/2.10-cpu` leads to /old") == 1


def test_a_stack_of_another_architecture_is_refused_with_the_reason(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = site_folder / "stacks/demo.yaml"
    stack.write_text(stack.read_text().replace("mpi: mpich", "architectures: [ppc64le]"))

    _, out, _ = run(capsys, "list", "demo/2.10-cpu@*", "--json")
    assert {row["state"] for row in json.loads(out)} == {"refused"}
    code, _, err = run(capsys, "plan", "demo/2.10-cpu@laptop")
    assert code == ExitCode.USAGE
    assert "laptop can't take demo/2.10-cpu: it is made for ppc64le, not x86_64" in err


def test_the_reason_for_its_architectures_is_told(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = site_folder / "stacks/demo.yaml"
    why = "architectures: [ppc64le]\n    why: its BLAS is ESSL"
    stack.write_text(stack.read_text().replace("mpi: mpich", why))

    _, out, _ = run(capsys, "list", "demo/2.10-cpu@laptop", "--json")

    assert json.loads(out)[0]["notes"] == ["is made for ppc64le, not x86_64: its BLAS is ESSL"]


def test_list_says_that_there_is_no_store(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(capsys, "list", "demo/2.10-cpu@laptop", "--json")

    assert err == f"there is no store at {store}: nothing was built there yet\n"
    assert json.loads(out)

    store.mkdir()
    assert run(capsys, "list", "demo/2.10-cpu@laptop")[2] == ""


def test_list_shows_a_system_whose_store_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STACKWRIGHT_STORE", raising=False)
    monkeypatch.delenv("DEMO_ROOT", raising=False)

    code, out, err = run(capsys, "list", "demo/2.10-cpu@laptop", "--json")

    (row,) = json.loads(out)
    assert (code, err, row["state"]) == (ExitCode.OK, "", "planned")
    assert row["notes"] == ["store elsewhere: $DEMO_ROOT is not set", "no lock"]


def test_a_system_whose_store_is_elsewhere_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STACKWRIGHT_STORE", raising=False)
    monkeypatch.delenv("DEMO_ROOT", raising=False)

    _, out, err = run(capsys, "plan", "demo/2.10-cpu@*", "--json")

    assert [row["label"] for row in json.loads(out)] == ["demo/2.10-cpu@summit-like"]
    assert "$DEMO_ROOT is not set: the labels of 'laptop' are left out" in err
    code, out, err = run(capsys, "plan", "demo/2.10-cpu@laptop", "--json")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "$DEMO_ROOT is not set" in err


def test_plan_says_how_far_what_is_stale_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(tmp_path))
    build(tmp_path, capsys)
    pointers = {"demo/2.10-cpu": {"plan_hash": "sha256:older"}}
    (tmp_path / "live").mkdir()
    (tmp_path / "live/release.json").write_text(json.dumps({"pointers": pointers}))

    _, out, _ = run(capsys, "plan", "demo/2.10-cpu@laptop")

    assert out.splitlines()[0].endswith("  stale, built")


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "demo/2.10-cpu@laptop", "--json")

    (entry,) = json.loads(out)
    assert entry["state"] == "planned"
    assert entry["plan_hash"].startswith("sha256:")


def test_list_says_that_a_lock_cannot_be_read(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = site_folder / "stacks/locks/demo-2.10-cpu@laptop.lock.json"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("{\n<<<<<<< HEAD\n")

    assert "planned, lock can't be read" in run(capsys, "list", "demo/2.10-cpu@laptop")[1]
    (entry,) = json.loads(run(capsys, "list", "demo/2.10-cpu@laptop", "--json")[1])
    assert "not a valid lock: Invalid JSON: " in entry["warnings"][0]


def test_list_and_show_tell_of_waivers(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(store, capsys)
    built = json.loads((store / "artefacts" / "1.json").read_text())
    predicate = {
        "planHash": built["plan_hash"],
        "issued": "2026-01-01T00:00:00Z",
        "expires": "2999-01-01T00:00:00Z",
        "waivers": [{"case": "speed.none-1.image", "reason": "known", "expires": "2998-12-31"}],
    }
    payload = base64.b64encode(json.dumps({"predicate": predicate}).encode()).decode()
    (store / "certificates").mkdir()
    (store / "certificates" / "1.json").write_text(json.dumps({"payload": payload}))

    listed = run(capsys, "list", "demo/2.10-cpu@laptop")[1]
    (entry,) = json.loads(run(capsys, "list", "demo/2.10-cpu@laptop", "--json")[1])
    shown = run(capsys, "show", "demo/2.10-cpu@laptop")[1]

    assert "certified, 1 waived" in listed
    assert entry["waived"] == {"speed.none-1.image": "2998-12-31"}
    assert "waived       speed.none-1.image until 2998-12-31\n" in shown


def test_show_says_what_is_in_a_label(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "demo/2.10-cpu@laptop")

    assert code == ExitCode.OK
    assert "frameworks   demo-framework==2.10\n" in out
    assert "environment  DEMO_CACHE=off\n" in out
    assert "has no lock; next: stackwright lock 'demo/2.10-cpu@laptop'" in out


def test_show_and_plan_warn_of_what_is_unwise(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = site_folder / "stacks" / "demo.yaml"
    stack.write_text(stack.read_text().replace("tuning: []", "tuning: [fabric]"))

    _, _, err = run(capsys, "show", "demo/2.10-cuda")

    assert err == "warning: NCCL_CROSS_NIC=1: slower since 2.23\n"
    assert run(capsys, "plan", "demo/2.10-cuda")[1].splitlines()[-1] == f"  {err.rstrip()}"
    (planned,) = json.loads(run(capsys, "plan", "demo/2.10-cuda", "--json")[1])
    assert planned["warnings"][-1] == "NCCL_CROSS_NIC=1: slower since 2.23"


def test_plan_says_that_nothing_is_to_be_built(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "never built before" in run(capsys, "plan", "demo/2.10-cpu@laptop")[1]

    build(store, capsys)

    assert run(capsys, "plan", "demo/2.10-cpu@laptop")[1].splitlines()[1] == "  nothing to build"


def test_plan_says_what_differs_from_the_last_build(
    site_folder: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(store, capsys)
    stack = site_folder / "stacks" / "demo.yaml"
    stack.write_text(stack.read_text().replace("numpy>=2.2", "numpy>=2.4").replace(", h5py", ""))

    _, out, _ = run(capsys, "plan", "demo/2.10-cpu@laptop")

    assert out.splitlines()[2:5] == [
        "    stacks/demo.yaml: packages[h5py]: h5py -> (none)",
        "    stacks/demo.yaml: packages[numpy]: numpy>=2.2 -> numpy>=2.4",
        "  first: stackwright lock 'demo/2.10-cpu@laptop'   (demo/2.10-cpu@laptop has no lock)",
    ]


def test_a_suite_is_chosen_without_a_new_build(
    site_folder: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(store, capsys)
    suites = site_folder / "validation" / "suites"
    text = (suites / "certify.yaml").read_text()
    (suites / "short.yaml").write_text(text.replace("name: certify", "name: short"))
    stack = site_folder / "stacks" / "demo.yaml"
    stack.write_text(stack.read_text().replace("suite: certify", "suite: short"))

    assert "suite        short\n" in run(capsys, "show", "demo/2.10-cpu@laptop")[1]
    assert "nothing to build" in run(capsys, "plan", "demo/2.10-cpu@laptop")[1]


def test_errors_are_lines_with_hints_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "plan", "dmeo@laptop")

    assert (code, out) == (ExitCode.USAGE, "")
    assert err.splitlines()[0].startswith("error: no label matches 'dmeo@laptop'")
    assert err.splitlines()[1].startswith("hint: there is: demo/1.9-cpu@laptop")


def test_every_mistake_of_a_site_is_a_line(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site_folder / "stacks" / "a.yaml").write_text("name: 1\nnaem: a\n")

    code, _, err = run(capsys, "list")

    assert code == ExitCode.USAGE
    assert "error: stacks/a.yaml:1:7: 'name' must be text; write '1' in quotes" in err.splitlines()
    assert "error: stacks/a.yaml:2:1: unknown key 'naem' (did you mean 'name'?)" in err.splitlines()


def test_a_mistake_in_one_stack_does_not_stop_another(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site_folder / "stacks" / "a.yaml").write_text("name: 1\n")

    assert run(capsys, "show", "demo/2.10@laptop")[0] == ExitCode.OK
    assert run(capsys, "plan", "*@laptop")[0] == ExitCode.USAGE


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["pln"], "error: no command 'pln' (did you mean 'plan'?)\nhint: stackwright --help\n"),
        (["show"], "error: Missing argument 'LABEL'.\nhint: stackwright show --help\n"),
        (
            ["schema"],
            "error: name one kind of file, or give --write DIR, or --check DIR\n"
            "hint: stackwright schema --help\n",
        ),
    ],
)
def test_usage_errors(args: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *args) == (ExitCode.USAGE, "", expected)


def test_a_bug_is_never_a_pass_and_asks_for_a_report() -> None:
    error = as_stackwright_error(ZeroDivisionError("division by zero"))

    assert str(error) == "internal error: ZeroDivisionError: division by zero"
    assert error.code == ExitCode.INVALID


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="no label matches"):
        main(["--debug", "show", "dmeo@laptop"])


def test_init_makes_a_site_that_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "init", str(tmp_path / "mysite"))[0] == ExitCode.OK
    assert run(capsys, "--site", str(tmp_path / "mysite"), "plan")[0] == ExitCode.OK


@pytest.mark.parametrize("name", [module.rstrip("_") for module in COMMANDS])
def test_every_command_has_help_with_an_example(name: str) -> None:
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None

    inner = command.commands.values() if isinstance(command, click.Group) else []

    for one in (command, *inner):
        own = "" if one is command else f" {one.name}"
        assert f"  stackwright {name}{own}" in (one.help or "")


def test_help_starts_without_the_slow_libraries() -> None:
    script = (
        "import sys; from stackwright.cli import main; main(['--help'])\n"
        "slow = {'pydantic', 'rich', 'yaml', 'cryptography', 'archspec', 'jinja2'}\n"
        "sys.exit(str(slow & sys.modules.keys()) if slow & sys.modules.keys() else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "stackwright", "plan", "*@*", "--json"]

    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)

    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.FAIL, b"")
