"""Programs in the foreground: their exit codes, and what signals make of them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import os, sys
from stackwright.cli.foreground import run_in_foreground
sys.exit(run_in_foreground(sys.argv[1:], os.environ))
"""


def started(script: str) -> subprocess.Popen[str]:
    """It has said that it is there, in a session of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137)]
)
def test_the_exit_code_is_the_programs_own(script: str, code: int) -> None:
    process = started(f"echo there; {script}")

    assert process.wait(30) == code


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo there; exec sleep 60", 130),
        ("trap 'exit 1' INT; echo there; while :; do sleep 0.1; done", 130),  # as ch-run
        ("trap 'exit 0' INT; echo there; while :; do sleep 0.1; done", 0),
    ],
)
def test_interrupted_is_the_same_for_all_that_did_not_end_well(script: str, code: int) -> None:
    process = started(script)

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == code


def test_what_takes_no_notice_is_ended_by_the_second_signal(tmp_path: Path) -> None:
    """The first program of a container takes no signal that it doesn't ask for."""
    run = RUN.replace("os.environ)", "os.environ, ['sh', '-c', 'kill -KILL $(cat pid)'])")
    script = "trap '' INT; echo $$ >pid; echo there; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "sh", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"

    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130


def test_who_ends_this_process_ends_the_program() -> None:
    process = started("trap 'exit 7' TERM; echo there; while :; do sleep 0.1; done")

    process.terminate()

    assert process.wait(30) == 7


def test_a_terminals_ctrl_c_comes_once() -> None:
    """The terminal sends it to all of its foreground."""
    script = "trap 'echo came; n=x$n' INT; echo there; sleep 1; sleep 1; [ $n = x ] && exit 9"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", RUN, "sh", "-c", script])
    said = b""
    while b"there" not in said:
        said += os.read(terminal, 100)

    os.write(terminal, b"\x03")

    _, status = os.waitpid(pid, 0)
    said += os.read(terminal, 1000)
    assert said.count(b"came") == 1
    assert os.waitstatus_to_exitcode(status) == 130
