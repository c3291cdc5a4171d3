"""Follows a job to its end: what becomes of it, and what it prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stackwright.batch.slurmjobs import State

PAUSE_S = 2.0
HOPELESS_LOOKS = 15
"""How often in a row a job is seen to be hopeless before it is believed: half a minute."""


class Jobs(Protocol):
    """A scheduler that can be asked for a job."""

    def state(self, job: str, /) -> State | None:
        """What has become of a job; None where the scheduler does not answer now."""


class Growing:
    """A text that others append to, read line by line as it grows."""

    def __init__(self, path: Path) -> None:
        """Read from its beginning; it may not be there yet."""
        self._path = path
        self._at = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The whole lines that have come since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


def follow(
    jobs: Jobs, job: str, log: Path, show: Callable[[str], None], pause: float = PAUSE_S
) -> State:
    """Show a job's states as they change and the lines that it prints, until it has ended.

    Of a job that won't start as things are, that is said, too; one that never will is given up.

    Args:
        log: the file that the job prints to.
        show: called with each line.

    Returns:
        How it ended; or that it waits, and is hopeless.
    """
    printed, before, hopeless = Growing(log), "", 0
    while True:
        state = jobs.state(job)
        for line in printed.lines():
            show(line)
        now = f"job {job}: {state or 'the scheduler does not answer'}"
        if now != before:
            show(now)
            if state is not None and (why := state.stuck):
                show(f"job {job} won't start as it is: {why}; Ctrl-C cancels it")
            before = now
        hopeless = hopeless + 1 if state is not None and state.hopeless else 0
        if state is not None and (state.ended or hopeless == HOPELESS_LOOKS):
            return state
        time.sleep(pause)
