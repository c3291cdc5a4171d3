"""A program run as a shell runs it: in the foreground, its exit code passed on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

INTERRUPTED = 130
"""What shells say of a program that SIGINT ended."""

_OF_THE_KERNEL = 0x80
"""sigaction(2), SI_KERNEL: a terminal's Ctrl-C, which its whole foreground gets."""

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def run_in_foreground(argv: Sequence[str], env: Mapping[str, str], kill: Sequence[str] = ()) -> int:
    """Run a program to its end; signals that come for this process are handed on to it.

    Args:
        kill: what ends it where signals don't, as the first program of a container takes no notice
            of those that it doesn't ask for: run when a second one comes.

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
        came = _watch(process, lambda: _run(kill, env))
    finally:
        _unblock()
    code = process.returncode
    if signal.SIGINT in came and code:
        return INTERRUPTED
    return code if code >= 0 else 128 - code


def _watch(process: subprocess.Popen[bytes], kill: Callable[[], None]) -> list[int]:
    """Wait for a program's end; the signals that came for it."""
    came: list[int] = []
    while process.poll() is None:
        signalled = signal.sigwaitinfo(_WATCHED)
        if signalled.si_signo == signal.SIGCHLD:
            continue
        came.append(signalled.si_signo)
        if signalled.si_code != _OF_THE_KERNEL:
            process.send_signal(signalled.si_signo)
        if len(came) > 1:
            kill()
    return came


def _run(kill: Sequence[str], env: Mapping[str, str]) -> None:
    if kill:
        subprocess.run(
            kill, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
