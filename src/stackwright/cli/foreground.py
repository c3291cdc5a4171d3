"""A program run as a shell runs it: in the foreground, its exit code passed on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence

INTERRUPTED = 130
"""What shells say of a program that SIGINT ended."""

_OF_THE_KERNEL = 0x80
"""sigaction(2), SI_KERNEL: a terminal's Ctrl-C, which its whole foreground gets."""

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def run_in_foreground(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program to its end; signals that come for this process are handed on to it.

    Returns:
        Its exit code; 128 and the signal's number if one ended it, as shells say it. Run times end
        otherwise, each in its own way, where Ctrl-C ended what ran in them: that is 130 for all,
        unless it ended well.

    Raises:
        OSError: it can't be started.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    try:
        process = subprocess.Popen(argv, env=env, preexec_fn=_unblock)  # noqa: PLW1509
        interrupted = _watch(process)
    finally:
        _unblock()
    code = process.returncode
    if interrupted and code:
        return INTERRUPTED
    return code if code >= 0 else 128 - code


def _watch(process: subprocess.Popen[bytes]) -> bool:
    """Wait for a program's end; whether it was interrupted."""
    interrupted = False
    while process.poll() is None:
        came = signal.sigwaitinfo(_WATCHED)
        interrupted = interrupted or came.si_signo == signal.SIGINT
        if came.si_signo != signal.SIGCHLD and came.si_code != _OF_THE_KERNEL:
            process.send_signal(came.si_signo)
    return interrupted


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
