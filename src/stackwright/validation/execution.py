"""Runs one command to its end or its timeout, and leaves nothing of it behind.

Standard library only, and no import from the rest of this package: see `jobrun`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

if __package__:
    from stackwright.validation import evidence
    from stackwright.validation.reaper import Family, command_line
else:
    import evidence  # type: ignore[import-not-found, no-redef]
    from reaper import Family, command_line  # type: ignore[import-not-found, no-redef]

KILL_COMMAND_S = 30.0
LEAVE_S = 1.0
"""How long processes may take to follow a run that ended by itself."""
STACKS_S = 2.0
REAP_S = 5.0
POLL_S = 0.02
NOT_STARTED = 127
"""As shells say when a command is not there."""


class Interrupted(Exception):  # noqa: N818
    """SIGINT or SIGTERM came; what was running is ended and not recorded."""


@dataclass(frozen=True)
class Ending:
    """How a command ended; `survivors` are processes that nothing could end."""

    seconds: float
    returncode: int
    timed_out: bool
    survivors: list[int]


@dataclass(frozen=True)
class Launch:
    """One run, with nothing left to fill in.

    Args:
        name: unique to the run; the mark of its processes.
        argv: the command.
        kill: the command that ends what signals to its processes do not; may be empty.
        env: the whole environment of both.
        timeout_s: seconds after which the run is ended.
        ranks: how many ranks can be asked for their stack.
        out: folder that the ranks write to.
        logs: folder for the output and what else is to be kept.
    """

    name: str
    argv: list[str]
    kill: list[str]
    env: dict[str, str]
    timeout_s: float
    ranks: int
    out: Path
    logs: Path


def execute(launch: Launch, wake: Wake) -> Ending:
    """Run to the end or to the timeout; whichever comes, nothing of the run goes on after it.

    Raises:
        Interrupted: a signal came; nothing of the run goes on either.
    """
    read_end, write_end = os.pipe()
    output = evidence.Output(read_end, launch.logs / "output.log")
    output.start()
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            launch.argv,
            env=launch.env,
            cwd=launch.out,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
        )
    except OSError as error:
        os.write(write_end, f"{launch.argv[0]}: {error.strerror}\n".encode())
        os.close(write_end)
        output.finish()
        return Ending(time.monotonic() - started, NOT_STARTED, timed_out=False, survivors=[])
    family = Family(launch.name, process.pid)
    waiter = threading.Thread(target=wake.when_ended, args=(process,), daemon=True)
    waiter.start()
    ended = False
    try:
        ended = wake.wait(process, launch.timeout_s)
        seconds = time.monotonic() - started
        if not ended:
            _ask_for_stacks(family, launch)
    finally:
        survivors = (
            _end_leftover(family, launch.logs) if ended else _end_all(launch, family, write_end)
        )
        os.close(write_end)
        output.finish()
    waiter.join(REAP_S)
    returncode = -signal.SIGKILL if process.returncode is None else process.returncode
    return Ending(seconds, returncode, timed_out=not ended, survivors=survivors)


def _ask_for_stacks(family: Family, launch: Launch) -> None:
    """Ranks dump their stacks shortly before the timeout by themselves; remind those that didn't.

    An answer to SIGUSR1 takes milliseconds, unless the rank hangs inside the kernel.
    """
    if evidence.stacks(launch.out) < launch.ranks:
        family.ask_for_stacks()
        deadline = time.monotonic() + STACKS_S
        while evidence.stacks(launch.out) < launch.ranks and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _end_leftover(family: Family, logs: Path) -> list[int]:
    """End what outlived a run that ended by itself, and note what it was."""
    left = family.wait(LEAVE_S)
    if not left:
        return []
    found = [{"pid": pid, "command": command_line(pid)} for pid in left]
    (logs / "leftover.json").write_text(json.dumps(found, indent=1) + "\n")
    return family.end()


def _end_all(launch: Launch, family: Family, output: int) -> list[int]:
    """End a run that goes on: by its own command first, which knows about its container."""
    if launch.kill:
        _kill(launch, output)
        family.wait(LEAVE_S)
    survivors = family.end()
    if launch.kill:
        _kill(launch, output)  # a container may have come up while its client was being ended
    return survivors


def _kill(launch: Launch, output: int) -> None:
    try:
        subprocess.run(
            launch.kill,
            env=launch.env,
            timeout=KILL_COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        os.write(output, f"jobrun: {error}\n".encode())


class Wake:
    """Waits for a process, a deadline and a signal at the same time, without polling."""

    def __init__(self) -> None:
        """Prepare; nothing is handled until the `with` block begins."""
        self._signalled = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Wake:
        """Handle SIGINT, SIGTERM and SIGHUP, unless the caller has them ignored (nohup)."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        os.close(self._read)
        os.close(self._write)

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self._signalled = True
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: then it rings already
            os.write(self._write, b"!")

    def when_ended(self, process: subprocess.Popen[bytes]) -> None:
        """Reap a process as it ends; runs in a thread of its own."""
        process.wait()
        self._ring()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._signalled:
            raise Interrupted

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Whether the process, watched by `when_ended`, ends in time; Interrupted by a signal."""
        deadline = time.monotonic() + seconds
        while process.returncode is None:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if select.select([self._read], [], [], left)[0]:
                os.read(self._read, 4096)
        return True
