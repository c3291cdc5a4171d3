"""What a run leaves behind, turned into what its record holds: rank lines, output, stacks.

Standard library only, and no import from this package: see `jobrun`.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NoReturn

RANK_FILE = re.compile(r"rank-(\d{1,9})\.jsonl")
STACK_FILE = re.compile(r"rank-(\d{1,9})\.stack")
RANK_BYTES = 4 * 2**20
"""What a record embeds of one rank."""
STACK_BYTES = 2**20
OUTPUT_HEAD = 2**20
OUTPUT_TAIL = 2**20
DRAIN_S = 5.0


class Output(threading.Thread):
    """Copies a pipe to a file: the head at once, and of the rest only the tail.

    A run that prints without end can fill neither the disk nor the memory, and a person can follow
    the file while the run goes on.
    """

    def __init__(self, source: int, path: Path) -> None:
        """Take over the pipe's read end, `source`."""
        super().__init__(daemon=True)
        self._source = source
        self._path = path
        self._seen = 0
        self._tail = bytearray()

    def run(self) -> None:
        """Read until every process that holds the write end is gone."""
        with self._path.open("wb", buffering=0) as file, os.fdopen(self._source, "rb", 0) as pipe:
            while chunk := pipe.read(65536):
                room = max(0, OUTPUT_HEAD - self._seen)
                file.write(chunk[:room])
                self._seen += len(chunk)
                self._tail += chunk[room:]
                del self._tail[:-OUTPUT_TAIL]
            if cut := max(0, self._seen - OUTPUT_HEAD - OUTPUT_TAIL):
                file.write(f"\n[... {cut} bytes of output cut here ...]\n".encode())
            file.write(self._tail)

    def finish(self) -> bool:
        """Wait for the end of the pipe; False if some process still holds it."""
        self.join(DRAIN_S)
        return not self.is_alive()


def collect(out: Path, keep: Path) -> tuple[list[list[Any]], list[str]]:
    """Read what the ranks wrote into `out`, and move what a person may want to see into `keep`.

    Stacks are kept, and of the ranks' own files those that could not be embedded whole.

    Returns:
        The lines of each rank in the order of ranks, and what is wrong with them.
    """
    ranks: list[list[Any]] = []
    problems: list[str] = []
    for path in _matching(out, RANK_FILE):
        lines, problem = _rank(path)
        ranks.append(lines)
        if problem:
            problems.append(problem)
            _keep(path, keep, 2 * RANK_BYTES)
    for path in _dumped_stacks(out):
        _keep(path, keep, STACK_BYTES)
    return ranks, problems


def stacks(out: Path) -> int:
    """How many ranks have dumped their stack."""
    return len(_dumped_stacks(out))


def _dumped_stacks(out: Path) -> list[Path]:
    """A rank opens its file when it begins; only one that was asked writes to it."""
    return [path for path in _matching(out, STACK_FILE) if path.lstat().st_size]


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    found = ((pattern.fullmatch(path.name), path) for path in folder.iterdir())
    return [path for _, path in sorted((int(m[1]), path) for m, path in found if m)]


def _rank(path: Path) -> tuple[list[Any], str | None]:
    """A rank's lines up to the first that cannot be used, and what is wrong with that one.

    What follows the last newline is a line that was never finished: the rank has no `end` then.
    """
    data = _regular_bytes(path, RANK_BYTES + 1)
    if data is None:
        return [], f"{path.name}: not a regular file that can be read"
    lines: list[Any] = []
    for number, line in enumerate(data[:RANK_BYTES].split(b"\n")[:-1], start=1):
        try:
            lines.append(_json_object(line))
        except (ValueError, RecursionError) as error:
            return lines, f"{path.name}:{number}: {error}"
    if len(data) > RANK_BYTES:
        return lines, f"{path.name}: holds more than the {RANK_BYTES} bytes that a record takes"
    return lines, None


def _regular_bytes(path: Path, limit: int) -> bytes | None:
    """Never follows a link out of the folder, and never waits on a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None


def _keep(path: Path, folder: Path, limit: int) -> None:
    if (data := _regular_bytes(path, limit)) is not None:
        (folder / path.name).write_bytes(data)


def _json_object(line: bytes) -> dict[str, Any]:
    """JSON as results.jsonl takes it: an object, no repeated key, no number that is not finite."""
    value = json.loads(
        line, object_pairs_hook=_unique_keys, parse_constant=_refuse, parse_float=_finite
    )
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f'{literal} is not JSON; write the string "nan", "inf" or "-inf"')


def _finite(literal: str) -> float:
    if not math.isfinite(number := float(literal)):
        raise ValueError(f"{literal} is too large for a double")
    return number
