"""Start an external program: logged, redacted, followed line by line, ended with its children."""

from __future__ import annotations

import math
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TextIO

from stackwright.errors import StackwrightError
from stackwright.tools.lines import LineSplitter
from stackwright.tools.redaction import redact

_TAIL_LINES = 12
_KEPT_LINES = 100_000
_GRACE_S = 5.0
_PIECE = 1 << 16


class ToolError(StackwrightError):
    """An external program failed; carries its last lines of output."""

    def __init__(self, program: str, code: int, tail: str, hint: str | None = None) -> None:
        """Say how the program ended, and show the tail of its output."""
        reason = f"{program} {_ending(code)}"
        super().__init__(f"{reason}\n{tail}" if tail else reason, hint=hint)
        self.program = program
        self.exit_code = code
        self.tail = tail
        self.reason = reason


@dataclass(frozen=True)
class Runner:
    """Runs programs and keeps a log of what was run.

    Args:
        log: one line per command is appended to it; None keeps no log.
        on_line: called with each line that a program prints, redacted.
        transcript: a file that gets these lines too, those of the last program; None keeps none.
    """

    log: Path | None = None
    on_line: Callable[[str], None] = field(default=lambda _line: None)
    transcript: Path | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        hint: str | None = None,
    ) -> str:
        """Run a program to its end and return what it printed, standard error included.

        Nothing in its process group outlives it, nor Ctrl-C. Bytes that are not UTF-8 are
        replaced, very long lines are cut in pieces, and only the last 100,000 lines are kept.

        Raises:
            ToolError: its exit code isn't 0.
            StackwrightError: it can't be started.
        """
        started = time.time()
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        with _held_back() as let_through:
            process = _start(argv, env, cwd)
            try:
                let_through()
                with _opened(self.transcript) as transcript:
                    for line in _follow(process):
                        lines.append(line)
                        shown = redact(line)
                        transcript.write(f"{shown}\n")
                        self.on_line(shown)
                _wait(process)
            except BaseException:
                _signal(process, signal.SIGTERM)
                _wait(process, _GRACE_S)
                raise
            finally:
                code = _end_group(process)
                self._record(argv, started, code)
        if code != 0:
            tail = "\n".join([*lines][-_TAIL_LINES:]).rstrip()
            raise ToolError(Path(argv[0]).name, code, redact(tail), hint)
        return "".join(f"{line}\n" for line in lines)

    def _record(self, argv: Sequence[str], started: float, code: int) -> None:
        if self.log is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        line = f"{stamp} rc={code} {time.time() - started:.1f}s {redact(shlex.join(argv))}\n"
        with suppress(OSError):  # another's store can be used, and not written to
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as file:
                file.write(line)


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with Path(path or os.devnull).open("w", encoding="utf-8", buffering=1) as file:
        yield file


@contextmanager
def _held_back() -> Iterator[Callable[[], None]]:
    """Keep signals for Python from interrupting, until the function is called that is given.

    One that came while a program is started would leave it running: nobody has its number yet.
    """
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
        and threading.current_thread() is threading.main_thread()
    }
    came: list[tuple[int, FrameType | None]] = []

    def let_through() -> None:
        for number in [*before]:
            signal.signal(number, before[number])
        while came:
            told, frame = came.pop(0)
            before[signal.Signals(told)](told, frame)
        before.clear()

    for number in before:
        signal.signal(number, lambda *what: came.append(what))
    try:
        yield let_through
    finally:
        let_through()


def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise missing(argv[0], error) from error


def _follow(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of a program as they come, until it has ended.

    Its end is what counts, not the end of the pipe: something that it left running in the
    background may hold the pipe open for ever.
    """
    splitter = LineSplitter()
    for data in _read(process):
        yield from splitter.feed(data)
    yield from splitter.end()


def _read(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    if process.stdout is None:
        return
    pipe = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = _has_ended(process)  # before the pipe is looked at, so that nothing is missed
            if selector.select(0 if ended else 0.05):
                data = os.read(pipe, _PIECE)
                if not data:
                    return
                yield data
            elif ended:
                return


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended, without reaping it: until then its group's number stays its own."""
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, process.pid, options) is not None


def _wait(process: subprocess.Popen[bytes], seconds: float = math.inf) -> None:
    limit = time.monotonic() + seconds
    while not _has_ended(process) and time.monotonic() < limit:
        time.sleep(0.02)


def _end_group(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of a program's process group; its exit code, negative for a signal."""
    _signal(process, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return int(process.returncode)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def missing(program: str, error: OSError | None = None) -> StackwrightError:
    """The error for a program that can't be started."""
    reason = f" ({error.strerror})" if error is not None and error.strerror else ""
    return StackwrightError(
        f"cannot run {program}{reason}",
        hint="`stackwright doctor` lists the programs that are needed and how to install them",
    )


def find(program: str) -> str | None:
    """Full path of a program on PATH, or None."""
    return shutil.which(program)
