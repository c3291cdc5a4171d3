"""Cut a program's raw output into lines that are safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 4096
"""Characters of a line that are kept; some tools print megabytes without a newline."""

_END = re.compile(rb"\r\n|\n|\r")
# Terminal escape sequences (ECMA-48, section 5.4) and the other control characters but the tab.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]"
)


class LineSplitter:
    """Bytes in, whole lines out. A carriage return ends a line: progress bars use it so."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that ``data`` completes; an enormous one comes in pieces."""
        *whole, self._rest = _END.split(self._rest + data)
        for line in whole:
            yield from _pieces(line)
        if len(self._rest) > LONGEST:
            *pieces, last = _cut(self._rest)
            self._rest = last
            yield from map(_clean, pieces)

    def end(self) -> Iterator[str]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[str]:
    yield from map(_clean, _cut(line))


def _cut(line: bytes) -> list[bytes]:
    return [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)] or [b""]


def _clean(line: bytes) -> str:
    return _CONTROL.sub("", line.decode("utf-8", "replace"))
