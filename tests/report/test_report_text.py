from __future__ import annotations

import subprocess
import time

import pytest

from stackwright.report import numbers, text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("a\x00b\x07", "a\ufffdb\ufffd"),
        ("safe\u202eexe", "safe\ufffdexe"),
        ("bad \udcff byte", "bad \ufffd byte"),
        ("Grüße, 5 µs\tok", "Grüße, 5 µs\tok"),
    ],
)
def test_untrusted_text_is_made_printable(raw: str, shown: str) -> None:
    assert text.printable(raw) == shown


def test_the_rerun_command_runs_in_bash_with_nothing_but_the_run_s_environment() -> None:
    script = 'printf "%s|" "$@"; env | grep -c LEAKED; echo "$GREETING" "$NONCE"'
    argv = ["bash", "-c", script, "_", "a b", "$(touch x)", "", "--name=@NAME@", "@OUT@:/out"]
    env = {"GREETING": "it's", "NONCE": "@NONCE@"}

    command = text.rerun_command(argv, env, "0123")

    ended = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "LEAKED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, *_ = ended.stdout.splitlines()
    plain, dollar, empty, name, out, leaked = first.split("|")
    assert (plain, dollar, empty, leaked) == ("a b", "$(touch x)", "", "0")
    assert name.startswith("--name=rerun-")
    assert out.startswith("/")
    assert out.endswith(":/out")
    assert second == "it's 0123"


def test_a_rerun_is_told_when_it_was_started() -> None:
    argv = ["bash", "-c", 'echo "$STARTED"']

    command = text.rerun_command(argv, {"STARTED": "@STARTED@"}, "0123")

    before = time.time()
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert before <= float(said.stdout.split()[0]) <= time.time()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (151.234, "151.2"),
        (0.95, "0.9500"),
        (12345.6, "12\N{THIN SPACE}346"),
        (-2.5, "\N{MINUS SIGN}2.500"),
        (7, "7"),
        (0, "0"),
        (2.1e-16, "2.1e\N{MINUS SIGN}16"),
        ("nan", "nan"),
        (None, "\N{EN DASH}"),
    ],
)
def test_numbers_read_well(value: object, shown: str) -> None:
    assert numbers.figure(value) == shown


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [
        (0.363, 0.1, ("0.363", "0.1")),
        (1.0, 0.95, ("1.000", "0.95")),
        (0.00908, 0.005, ("0.0091", "0.005")),  # was 0.009 right of 0.01
        (0.00162, 0.001, ("0.0016", "0.001")),
        (0.000987, 0.001, ("0.00099", "0.001")),
        (0.95003, 0.95, ("0.95003", "0.95")),  # was 0.950, which is not right of it
        (0.94996, 0.95, ("0.94996", "0.95")),
        (0.93, 1 - 0.07, ("0.930", "0.93")),
        (0.0, 0.005, ("0.000", "0.005")),
    ],
)
def test_a_number_stands_on_its_side_of_a_threshold(
    value: float, bound: float, shown: tuple[str, str]
) -> None:
    assert (numbers.beside(value, bound), numbers.threshold(bound)) == shown


@pytest.mark.parametrize("value", [None, "nan", True, float("nan"), float("inf"), 10**400])
def test_what_is_not_a_finite_number_is_not_drawn(value: object) -> None:
    assert numbers.finite(value) is None


@pytest.mark.parametrize("value", [[], [[]], [[1], [1, 2]], [[1, "nan"]], "text", [1, 2]])
def test_only_rectangles_of_numbers_are_matrices(value: object) -> None:
    assert not numbers.is_matrix(value)


@pytest.mark.parametrize(("value", "shown"), [(7.06, "7.1 s"), (125.2, "2 min 05 s")])
def test_durations_read_well(value: float, shown: str) -> None:
    assert numbers.seconds(value) == shown
