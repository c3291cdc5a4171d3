"""Running programs: nothing hangs, nothing is left running, no secret is shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackwright.tools
from stackwright.errors import StackwrightError
from stackwright.tools.lines import LONGEST, LineSplitter
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.redaction import redact


def sh(script: str, runner: Runner | None = None) -> str:
    return (runner or Runner()).run(["sh", "-c", script])


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that its parent hasn't reaped counts as ended."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def wait_until_gone(pid: int) -> bool:
    limit = time.monotonic() + 60
    while not gone(pid) and time.monotonic() < limit:
        time.sleep(0.01)
    return gone(pid)


def test_both_outputs_are_returned_and_followed() -> None:
    seen: list[str] = []

    text = sh("echo out; echo err >&2; printf last", Runner(on_line=seen.append))

    assert text == "out\nerr\nlast\n"
    assert seen == ["out", "err", "last"]


def test_a_failure_has_the_exit_code_and_the_last_lines() -> None:
    with pytest.raises(ToolError, match=r"^sh ended with exit code 3\n") as caught:
        sh("for i in $(seq 100); do echo line $i; done; exit 3")

    assert caught.value.exit_code == 3
    assert caught.value.tail.splitlines() == [f"line {n}" for n in range(89, 101)]


def test_a_program_that_was_killed_names_the_signal() -> None:
    with pytest.raises(ToolError, match=r"^sh was ended by SIGKILL$"):
        sh("kill -9 $$")


def test_a_program_that_is_not_there_says_how_to_find_out() -> None:
    with pytest.raises(StackwrightError, match=r"^cannot run no-such-program ") as caught:
        Runner().run(["no-such-program"])
    assert "stackwright doctor" in (caught.value.hint or "")


def test_standard_input_is_empty() -> None:
    assert sh("cat; echo read") == "read\n"


def test_output_that_is_not_utf_8_is_shown_with_marks() -> None:
    assert sh(r"printf 'caf\351\n'") == "caf\ufffd\n"


def test_a_background_process_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    sh(f"sleep 1000 & echo $! > {tmp_path}/pid; echo done")

    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_closed_its_output_is_waited_for(tmp_path: Path) -> None:
    sh(f"exec >&- 2>&-; sleep 0.3; : > {tmp_path}/finished")

    assert (tmp_path / "finished").exists()


def test_an_exception_ends_the_program_and_its_children(tmp_path: Path) -> None:
    def stop(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sh(f"sleep 1000 & echo $! > {tmp_path}/pid; echo go; wait", Runner(on_line=stop))

    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackwright.tools.process._GRACE_S", 0.2)

    def stop(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sh(
            f"trap '' TERM; echo $$ > {tmp_path}/pid; echo go; while :; do sleep 0.1; done",
            Runner(on_line=stop),
        )

    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_no_zombies_are_left() -> None:
    for _ in range(5):
        sh("true")

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_megabytes_on_both_outputs_do_not_block() -> None:
    line = "x" * 99
    script = f"yes {line} | head -n 9000 & yes {line} | head -n 9000 >&2; wait"

    assert len(sh(script)) == 2 * 9000 * 100


def test_a_line_without_end_comes_in_pieces_of_bounded_length() -> None:
    seen: list[str] = []

    sh("head -c 1000000 /dev/zero | tr '\\0' x", Runner(on_line=seen.append))

    assert sum(map(len, seen)) == 1_000_000
    assert max(map(len, seen)) <= LONGEST


def test_ctrl_c_ends_the_whole_tree(tmp_path: Path) -> None:
    """The real thing: SIGINT to Python, which is waiting for a program with a child."""
    script = textwrap.dedent(f"""
        from stackwright.tools.process import Runner
        Runner().run(["sh", "-c", "sleep 1000 & echo $! > {tmp_path}/pid.new; "
                      "mv {tmp_path}/pid.new {tmp_path}/pid; wait"])
    """)
    python = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists():
        time.sleep(0.01)

    python.send_signal(signal.SIGINT)

    assert python.wait() != 0
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_ctrl_c_while_a_program_is_started_ends_it_as_well(tmp_path: Path) -> None:
    """The signal comes between the start of the program and the number that it is known by."""
    script = textwrap.dedent(f"""
        import os, pathlib, signal, subprocess, time
        from stackwright.tools.process import Runner
        signal.signal(signal.SIGINT, signal.default_int_handler)
        started = subprocess.Popen.__init__
        def interrupted(self, *args, **options):
            started(self, *args, **options)
            pathlib.Path("{tmp_path}/pid").write_text(str(self.pid))
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        subprocess.Popen.__init__ = interrupted
        Runner().run(["sleep", "1000"])
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert b"KeyboardInterrupt" in done.stderr
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


# What is written down


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    assert Runner(tmp_path / "store" / "commands.log").run(["echo", "done"]) == "done\n"


def test_every_command_is_logged_without_its_secrets(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "store" / "commands.log")
    runner.run(["true", "--token", "hunter2"])
    with pytest.raises(ToolError):
        runner.run(["sh", "-c", "echo https://me:hunter2@example.org/; exit 1"])

    text = (tmp_path / "store" / "commands.log").read_text()

    assert [line.split()[1] for line in text.splitlines()] == ["rc=0", "rc=1"]
    assert "hunter2" not in text


def test_no_secret_reaches_a_line_an_error_or_the_transcript(tmp_path: Path) -> None:
    seen: list[str] = []
    runner = Runner(on_line=seen.append, transcript=tmp_path / "log")

    with pytest.raises(ToolError) as caught:
        sh("echo GITHUB_TOKEN=hunter2; exit 1", runner)

    assert seen == ["GITHUB_TOKEN=***"]
    assert (tmp_path / "log").read_text() == "GITHUB_TOKEN=***\n"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:hunter2@host/simple", "https://***@host/simple"),
        ("https://hunter2@host/simple", "https://***@host/simple"),
        ("--password hunter2 next", "--password *** next"),
        ("--dest-registry-token=hunter2", "--dest-registry-token=***"),
        ("--creds 'me:hunter2 x'", "--creds ***"),
        ('API_KEY="hunter2 x" make', "API_KEY=*** make"),
        ('{"secret": "hunter2"}', '{"secret": ***}'),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("authorization=hunter2", "authorization=***"),
        # and what must stay readable
        ("git@github.com:org/repo.git", "git@github.com:org/repo.git"),
        ("https://host/a@sha256:abc", "https://host/a@sha256:abc"),
        ("tokenizers==0.21", "tokenizers==0.21"),
        ("docker://host:5000/image@sha256:abc", "docker://host:5000/image@sha256:abc"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert redact(text) == shown


# Lines


@given(st.binary(max_size=200), st.integers(1, 50))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, size: int) -> None:
    data = data.replace(b"\r", b"")
    whole, pieces = LineSplitter(), LineSplitter()

    at_once = [*whole.feed(data), *whole.end()]
    piecewise = [
        line for i in range(0, len(data), size) for line in pieces.feed(data[i : i + size])
    ]

    assert [*piecewise, *pieces.end()] == at_once


def test_progress_bars_are_lines_and_colours_are_dropped() -> None:
    splitter = LineSplitter()

    lines = [*splitter.feed(b"10%\r20%\r\n\x1b[31mred\x1b[0m\x07\tend\n")]

    assert lines == ["10%", "20%", "red\tend"]


def test_tools_stand_on_nothing_that_is_built_with_them() -> None:
    sources = Path(stackwright.tools.__file__).parent.glob("*.py")
    imports = re.findall(r"from stackwright\.(\w+)", "".join(map(Path.read_text, sources)))

    assert {*imports} == {"canonical", "errors", "store", "tools"}
