"""Start an external program: logged, redacted, followed line by line, ended with its children."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stackwright.errors import StackwrightError

_SECRET_WORD = r"(?:password|passwd|token|secret|credentials?|api[-_]?key|creds)"
_SECRETS = (
    (re.compile(r"(://[^/\s:@]+:)[^@/\s]+(@)"), r"\1***\2"),
    (re.compile(rf"(?i)(--?[\w-]*{_SECRET_WORD}[\w-]*(?:=|\s+))\S+"), r"\1***"),
    (re.compile(rf"(?i)(\b\w*{_SECRET_WORD}\w*=)\S+"), r"\1***"),
)
_TAIL_LINES = 12
_GRACE_S = 5.0


def redact(text: str) -> str:
    """Replace passwords, tokens and the like by ``***``."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class ToolError(StackwrightError):
    """An external program failed; carries its last lines of output."""

    def __init__(self, program: str, code: int, tail: str, hint: str | None = None) -> None:
        reason = f"{program} ended with exit code {code}"
        super().__init__(f"{reason}\n{tail}" if tail else reason, hint=hint)
        self.program = program
        self.exit_code = code
        self.tail = tail


@dataclass(frozen=True)
class Runner:
    """Runs programs and keeps a log of what was run.

    Args:
        log: one line per command is appended to it; None keeps no log.
        on_line: called with each line that a followed program prints.
    """

    log: Path | None = None
    on_line: Callable[[str], None] = field(default=lambda _line: None)

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        hint: str | None = None,
    ) -> str:
        """Run a program to its end and return what it printed, standard error included.

        Its children end with it: on Ctrl-C or an error the whole process group is ended.

        Raises:
            ToolError: it can't be started, or its exit code isn't 0.
        """
        started = time.time()
        try:
            process = subprocess.Popen(
                argv,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise missing(argv[0], error) from error
        lines: list[str] = []
        try:
            assert process.stdout is not None  # noqa: S101  (for the type checker)
            for line in process.stdout:
                lines.append(line)
                self.on_line(redact(line.rstrip("\n")))
            code = process.wait()
        finally:
            end_group(process)
            self._record(argv, started, process.returncode)
        if code != 0:
            tail = "".join(deque(lines, _TAIL_LINES)).rstrip()
            raise ToolError(Path(argv[0]).name, code, redact(tail), hint)
        return "".join(lines)

    def _record(self, argv: Sequence[str], started: float, code: int | None) -> None:
        if self.log is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        line = f"{stamp} rc={code} {time.time() - started:.1f}s {redact(shlex.join(argv))}\n"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line)


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process that still runs, and everything in its session."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(_GRACE_S)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


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
