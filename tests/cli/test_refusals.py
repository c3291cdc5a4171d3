"""What a command says to someone who named the wrong thing, and what it leaves behind: nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackwright.cli import main
from stackwright.errors import ExitCode

SITE = Path(__file__).parents[2]


class Shell:
    """Types commands, at a store that isn't there yet."""

    def __init__(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self._capsys = capsys

    def run(self, *args: str) -> tuple[int, str, str]:
        code = main(["--no-color", "--site", str(SITE), "--store", str(self.store), *args])
        return code, *self._capsys.readouterr()


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "store", capsys)


# Files and folders


def test_a_folder_that_is_no_run_is_not_judged(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("judge", str(tmp_path)) == (
        ExitCode.USAGE,
        "",
        f"error: {tmp_path} is not the folder of a run: it has no job.json and no results.jsonl\n"
        "hint: name a folder of STORE/runs: stackwright judge STORE/runs/JOB\n",
    )


def test_results_without_their_job_are_not_judged(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").touch()

    code, _, err = shell.run("judge", str(tmp_path / "mine.jsonl"))

    assert code == ExitCode.USAGE
    assert f"{tmp_path} is not the folder of a run: it has no job.json\n" in err


def test_a_folder_that_is_no_run_is_not_reported(shell: Shell, tmp_path: Path) -> None:
    code, _, err = shell.run("report", "pytorch/2.13.0-cpu@local", "--run", str(tmp_path))

    assert code == ExitCode.USAGE
    assert err == (
        f"error: {tmp_path} is not the folder of a run: it has no job.json and no results.jsonl"
        " and no judgement.json\n"
        "hint: the label's last run: stackwright report 'pytorch/2.13.0-cpu@local'\n"
    )


def test_an_interrupted_run_is_not_reported_and_can_go_on(shell: Shell, tmp_path: Path) -> None:
    for name in ("job.json", "results.jsonl"):
        (tmp_path / name).touch()

    code, _, err = shell.run("report", "pytorch/2.13.0-cpu@local", "--run", str(tmp_path))

    assert code == ExitCode.USAGE
    assert err == (
        f"error: {tmp_path}: this run was interrupted, or still runs: it has no judgement.json\n"
        f"hint: to go on: stackwright validate 'pytorch/2.13.0-cpu@local' --resume {tmp_path};"
        f" what it has so far: stackwright judge {tmp_path}\n"
    )


@pytest.mark.parametrize("name", ["certificates/1.json", "./nothing", "/nowhere/at/all"])
def test_a_certificate_that_is_not_there_is_not_taken_for_a_label(shell: Shell, name: str) -> None:
    assert shell.run("verify", name) == (
        ExitCode.USAGE,
        "",
        f"error: the certificate {Path(name)} does not exist\n"
        "hint: name one of STORE/certificates, or a label: stackwright verify LABEL\n",
    )


def test_a_folder_is_no_certificate(shell: Shell, tmp_path: Path) -> None:
    assert f"the certificate {tmp_path} is not a file" in shell.run("verify", str(tmp_path))[2]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# Notes", "it is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"label": "a"}', "it is not a DSSE envelope: payload: Field required"),
    ],
)
def test_a_file_that_is_no_certificate_is_named(
    shell: Shell, tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text)

    assert shell.run("verify", str(file)) == (
        ExitCode.INVALID,
        "",
        f"error: {file} is not a certificate: {why}\n"
        "hint: name one of STORE/certificates, or a label: stackwright verify LABEL\n",
    )


# Stores


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["plan"],
        ["show", "pytorch/2.13.0-cpu@local"],
        ["build", "pytorch/2.13.0-cpu@local"],
        ["certify", "pytorch/2.13.0-cpu@local"],
        ["release", "pytorch/2.13.0-cpu@local"],
        ["report", "pytorch/2.13.0-cpu@local"],
        ["rollback", "pytorch@local"],
        ["history", "@local"],
        ["doctor", "--system", "local"],
        ["keys", "create", "release", "--system", "local"],
        ["keys", "list", "--system", "local"],
    ],
)
def test_a_path_that_no_store_can_have_is_refused_by_every_command(
    shell: Shell, command: list[str]
) -> None:
    shell.store = shell.store.with_name("my store")

    code, _, err = shell.run(*command)

    assert code == ExitCode.USAGE
    assert err.startswith(f"error: the store path '{shell.store}' has ' ' in it: only letters")
    assert not shell.store.exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["rollback", "pytorch@local"], ExitCode.FAIL, "error: pytorch was never released here\n"),
        (["history", "@local"], ExitCode.OK, "nothing was released here yet; next: stackwright"),
        (["history", "jax@local"], ExitCode.OK, "jax was never released here; next: stackwright"),
        (
            ["keys", "list", "--system", "local"],
            ExitCode.OK,
            "there are no keys yet; next: stackwright keys create release\n",
        ),
        (
            ["certify", "pytorch/2.13.0-cpu@local"],
            ExitCode.FAIL,
            "error: pytorch/2.13.0-cpu@local was not validated by suite 'core'"
            " as its files say now\n"
            "hint: stackwright validate 'pytorch/2.13.0-cpu@local' --suite core\n",
        ),
        (["release", "pytorch/2.13.0-cpu@local"], ExitCode.FAIL, "error: "),
        (["verify", "pytorch/2.13.0-cpu@local"], ExitCode.FAIL, "error: "),
    ],
)
def test_an_empty_store_says_so_and_stays_empty(
    shell: Shell, command: list[str], code: ExitCode, said: str
) -> None:
    found, out, err = shell.run(*command)

    assert (found, out) == (code, "")
    assert err.startswith(said)
    assert not shell.store.exists()


@pytest.mark.parametrize("command", [["history", "@local"], ["keys", "list", "--system", "local"]])
def test_nothing_is_an_empty_list_for_scripts(shell: Shell, command: list[str]) -> None:
    assert shell.run(*command, "--json") == (ExitCode.OK, "[]\n", "")


def test_keys_that_are_there_are_listed_without_advice(shell: Shell) -> None:
    shell.run("keys", "create", "release", "--system", "local")

    code, out, err = shell.run("keys", "list", "--system", "local", "--json")

    assert (code, [key["role"] for key in json.loads(out)], err) == (0, ["release"], "")
