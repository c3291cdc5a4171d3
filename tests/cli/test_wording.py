"""Errors name the label and the store that a command is about."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stackwright.cli import main
from stackwright.cli.wording import name_the_label, of_the_store
from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.inputs.labels import Label, parse

SITE = Path(__file__).parents[2]
LABEL = parse("pytorch/2.13.0-cpu@local")
STORE = Path("/data/store")


def test_the_one_label_is_put_into_every_hint() -> None:
    plain = StackwrightError("x")
    some = StackwrightError("x", hint="`stackwright lock LABEL` && stackwright build LABEL")

    name_the_label(ManyErrors([plain, some]), [LABEL])

    assert plain.hint is None
    assert some.hint == f"`stackwright lock '{LABEL}'` && stackwright build '{LABEL}'"


@pytest.mark.parametrize("labels", [[], [LABEL, parse("jax/1-cpu@local")]])
def test_which_of_several_labels_is_meant_is_not_guessed(labels: list[Label]) -> None:
    error = StackwrightError("x", hint="stackwright lock LABEL, not MYLABELS")

    name_the_label(error, labels)

    assert error.hint == "stackwright lock LABEL, not MYLABELS"


def test_a_command_names_the_label_it_is_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = str(tmp_path / "none.json")
    where = ["--site", str(SITE), "--store", str(tmp_path / "store")]

    main([*where, "release", "pytorch@local", "--certificate", certificate])

    assert f"hint: make one with: stackwright certify '{LABEL}'\n" in capsys.readouterr().err


def refused(number: int, path: str) -> StackwrightError | None:
    return of_the_store(OSError(number, os.strerror(number), path), [STORE])


@pytest.mark.parametrize(
    ("number", "path", "mend"),
    [
        (errno.EACCES, "/data/store/flock/x", "ask its owner"),
        (errno.EROFS, "/data/store", "ask its owner"),
        (errno.EACCES, "/data", "ask its owner"),
        (errno.ENOENT, "/data", "ask its owner"),
        (errno.ENOSPC, "/data/store/runs/x", "make room there"),
    ],
)
def test_a_store_that_cannot_be_written_is_told_in_one_line(
    number: int, path: str, mend: str
) -> None:
    error = refused(number, path)

    assert error is not None
    assert str(error) == f"the store /data/store can't be used: {path}: {os.strerror(number)}"
    assert error.hint == f"{mend}, or choose another store with --store or STACKWRIGHT_STORE"


@pytest.mark.parametrize(
    ("number", "path"),
    [(errno.EACCES, "/other/x"), (errno.ENOENT, "/data/store/runs/x"), (errno.EIO, "/data/store")],
)
def test_any_other_error_of_the_system_stays_what_it_is(number: int, path: str) -> None:
    assert refused(number, path) is None


def test_a_file_in_the_way_of_a_store_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    code = main(["--site", str(SITE), "--store", str(tmp_path / "file/store"), "list"])

    assert code == ExitCode.USAGE
    assert f"can't be used: {tmp_path}/file is not a folder\n" in capsys.readouterr().err
