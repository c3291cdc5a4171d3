"""Untrusted text (logs, details) made fit to print, and commands made fit to paste."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# XML 1.0 allows no others; the directional marks could make a line read as another one.
_UNPRINTABLE = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]"
)
_PLACEHOLDER = re.compile(r"(@OUT@|@NAME@|@STARTED@)")
_VARIABLE = {"@OUT@": '"$OUT"', "@NAME@": '"$NAME"', "@STARTED@": '"$(date +%s.%N)"'}


def printable(text: str) -> str:
    """Drop terminal colours; show any other control character as U+FFFD.

    A carriage return ends a line, as progress bars use it.
    """
    plain = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("\ufffd", plain)


def moment(timestamp: str) -> str:
    """An ISO 8601 time in UTC as people read it: ``2026-11-20 19:40 UTC``."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*Z$", r"\1 \2 UTC", timestamp)


def short(digest: str) -> str:
    """The first 12 hex digits of a ``sha256:`` digest, enough to tell two apart by eye."""
    return digest.removeprefix("sha256:")[:12]


def rerun_command(argv: Sequence[str], env: Mapping[str, str], nonce: str) -> str:
    """A shell command that repeats a run outside the harness, in a folder and name of its own."""
    values = [f"{name}={value}" for name, value in sorted(env.items())]
    words = [_quote(word.replace("@NONCE@", nonce)) for word in (*values, *argv)]
    settings = " ".join(['PATH="$PATH"', 'HOME="$HOME"', *words[: len(values)]])
    return (
        'OUT=$(mktemp -d) NAME="rerun-$$"\n'
        f"env -i {settings} \\\n  {' '.join(words[len(values) :])}\n"
        'ls -l "$OUT"'
    )


def _quote(word: str) -> str:
    parts = [part for part in _PLACEHOLDER.split(word) if part]
    return "".join(_VARIABLE.get(part) or shlex.quote(part) for part in parts) or "''"
