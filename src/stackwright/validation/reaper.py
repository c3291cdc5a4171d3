"""Finds and ends every process of one run.

A rank may have left its session (setsid), lost its parent, or live in a container. Members of a
run are therefore the launched process and its descendants, the sessions that these lead, and
everything whose environment carries the run's mark, `STACKWRIGHT_RUN=<name>`. A process that left
its session *and* lost its parent *and* cleared its environment before it was first seen is out of
reach; a container's PID namespace ends those too.

Standard library only, and no import from this package: see `jobrun`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MARK = "STACKWRIGHT_RUN"
POLL_S = 0.02
TERM_GRACE_S = 2.0
KILL_GRACE_S = 10.0
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A line of the process table; `started` (clock ticks since boot) tells reused PIDs apart."""

    pid: int
    ppid: int
    session: int
    started: int


Table = Mapping[int, Process]


def process_table() -> dict[int, Process]:
    """Every process that still runs; zombies don't."""
    found = (_read(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process}


def _read(pid: int) -> Process | None:
    """proc(5), /proc/PID/stat: the fields after the name, which may hold spaces and brackets."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, ppid, _, session, *rest = stat.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return Process(pid, int(ppid), int(session), started=int(rest[15]))


def marked(pid: int, is_name: Callable[[str], bool]) -> bool:
    """Whether a process carries the mark of a run whose name is accepted."""
    try:
        environ = (PROC / str(pid) / "environ").read_bytes()
    except OSError:  # gone meanwhile, or another user's
        return False
    prefix = f"{MARK}=".encode()
    return any(
        is_name(entry[len(prefix) :].decode(errors="replace"))
        for entry in environ.split(b"\0")
        if entry.startswith(prefix)
    )


def kin(seeds: set[int], table: Table) -> set[int]:
    """The seeds, their descendants, and everyone in a session that one of them leads or led."""
    family, before = set(seeds), set[int]()
    while family != before:
        before = set(family)
        family |= {p.pid for p in table.values() if p.ppid in before or p.session in before}
    return family & set(table)


class Family:
    """All processes of one run, followed from its launch to the end of its last process."""

    def __init__(self, name: str, root: int | None = None) -> None:
        """Follow a run by its name and, where there is one, the session leader launched for it."""
        self._is_name: Callable[[str], bool] = lambda found: found == name
        self._leader = set() if root is None else {root}
        self._known: dict[int, int] = {}

    @classmethod
    def left_by(cls, prefix: str) -> Family:
        """What runs whose name starts with `prefix` left when their driver was killed."""
        family = cls("")
        family._is_name = lambda name: name.startswith(prefix)
        return family

    def members(self) -> list[int]:
        """PIDs of those that run now; whoever was seen once is remembered."""
        table = process_table()
        known = {p.pid for p in table.values() if self._known.get(p.pid) == p.started}
        seeds = self._leader | known | {pid for pid in table if marked(pid, self._is_name)}
        members = kin(seeds, table) - {os.getpid()}
        self._known = {pid: table[pid].started for pid in members}
        return sorted(members)

    def wait(self, seconds: float) -> list[int]:
        """Give members time to go by themselves; who is left after that."""
        for _ in _ticks(seconds):
            if not self.members():
                return []
        return self.members()

    def send(self, signum: int, pids: list[int]) -> None:
        """Signal members; one that has just ended is none to complain about."""
        for pid in pids:
            try:
                os.kill(pid, signum)
            except (ProcessLookupError, PermissionError):
                continue

    def ask_for_stacks(self) -> None:
        """Send SIGUSR1 to whoever handles it; by default it would end the process."""
        self.send(signal.SIGUSR1, [pid for pid in self.members() if catches(pid, signal.SIGUSR1)])

    def end(self) -> list[int]:
        """SIGTERM, then SIGKILL until nobody is left; the PIDs of those that could not be ended."""
        self.send(signal.SIGTERM, self.members())
        if not self.wait(TERM_GRACE_S):
            return []
        for _ in _ticks(KILL_GRACE_S):
            if not (left := self.members()):
                return []
            self.send(signal.SIGKILL, left)
        return self.members()


def catches(pid: int, signum: int) -> bool:
    """Whether a process has a handler of its own for a signal (proc(5), SigCgt)."""
    try:
        status = (PROC / str(pid) / "status").read_text(errors="replace")
    except OSError:
        return False
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return bool(int(fields.get("SigCgt", "0"), 16) >> (signum - 1) & 1)


def command_line(pid: int) -> str:
    """A process's arguments for a person to read; empty when it is gone."""
    try:
        return (
            (PROC / str(pid) / "cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
            .strip()
        )
    except OSError:
        return ""


def _ticks(seconds: float) -> Iterator[None]:
    """Pauses of `POLL_S` until the time is up; at least one turn."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_S)
