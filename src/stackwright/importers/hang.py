"""Recognises the log of a job that did not end by itself."""

from __future__ import annotations

import re

from stackwright.importers.table import Problem

SIGNS: tuple[tuple[str, str], ...] = (
    (r"DUE TO TIME LIMIT", "Slurm ended it at its time limit"),
    (r"Watchdog caught collective operation timeout", "PyTorch's NCCL watchdog ended it"),
    (r"Test timeout \(\d+s\)", "nccl-tests ended it at its own timeout"),
    (r"PBS: job killed: walltime", "PBS ended it at its walltime"),
    (r"TERM_RUNLIMIT: job killed", "LSF ended it at its run limit"),
)
"""Patterns of a log line, and what each means."""


def hung(text: str) -> Problem | None:
    """The first sign of a hang, with its line; None if there is none."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, meaning in SIGNS:
            if re.search(pattern, line):
                return Problem("HUNG", f"line {number}: {meaning}")
    return None
