"""Ranks tell each other things through files of the run's own folder, whatever framework they use.

What is told does not pass through what is under test, and needs neither a port nor a host's name.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from functools import cache
from pathlib import Path
from typing import Any

PAUSE_S = 0.01
LOOPBACK = "127.0.0.1"


class Meeting:
    """All ranks of a run, once a process; each calls the same methods in the same order.

    A rank that never comes leaves the others waiting: the case's own time limit ends that, with
    every rank's stack.
    """

    def __init__(self, rank: int, world: int) -> None:
        """Meet in STACKWRIGHT_OUT, which a rank on its own does not need."""
        self.rank, self.world = rank, world
        self._folder = Path(os.environ["STACKWRIGHT_OUT"]) if world > 1 else None
        self._count = 0

    def gather(self, told: Any) -> list[Any]:
        """Give what each rank tells, which has to be what JSON can hold, in the order of ranks."""
        if self._folder is None:
            return [told]
        names = [self._folder / f"told-{self._count}-{rank}" for rank in range(self.world)]
        self._count += 1
        draft = names[self.rank].with_suffix(".draft")
        draft.write_text(json.dumps(told))
        draft.rename(names[self.rank])
        while not all(name.exists() for name in names):
            time.sleep(PAUSE_S)
        return [json.loads(name.read_text()) for name in names]

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.gather(None)

    def addresses(self) -> list[str]:
        """Give an address, with a free port, at which each rank can be reached by the others.

        On one host that is the loopback, as the host's name may mean nothing in an image.
        """
        host = platform.node()
        alone = len(set(self.gather(host))) == 1
        with socket.socket() as listening:
            listening.bind(("", 0))
            port = listening.getsockname()[1]
        return self.gather(f"{LOOPBACK if alone else socket.gethostbyname(host)}:{port}")


@cache
def meeting(rank: int, world: int) -> Meeting:
    """Give the process's one meeting."""
    return Meeting(rank, world)
