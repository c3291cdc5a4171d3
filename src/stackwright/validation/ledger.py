"""results.jsonl: one record a line, each chained to the bytes before it.

Standard library only, and no import from this package: see `jobrun`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

Record = dict[str, Any]


class JobError(Exception):
    """A job that cannot be run, or results that cannot be continued; `hint` says what to do."""

    def __init__(self, what: str, hint: str) -> None:
        """Keep both halves, for callers that show them apart."""
        super().__init__(f"{what}; {hint}")
        self.what = what
        self.hint = hint


def sha256(data: bytes) -> str:
    """Hash in the form of docs/formats.md."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Ledger:
    """The results of one job, open for appending; whoever has it open keeps other drivers out."""

    def __init__(self, path: Path, job_data: bytes, belongs: Mapping[str, str]) -> None:
        """Open, lock and verify.

        Args:
            path: results.jsonl; created when missing.
            job_data: the bytes of job.json, to which the first line is chained.
            belongs: keys and values that every record of this job has.

        Raises:
            JobError: another driver runs the job, or the lines are not an unbroken record of it.
        """
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
            self._cut_torn_line()
            self.records, self._prev = self._read(job_data, belongs)
            self._written = hashlib.sha256(self._path.read_bytes())
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Ledger:
        """Nothing more to do: construction opened and locked the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, which lets the next driver in."""
        os.close(self._fd)

    @property
    def digest(self) -> str:
        """The hash of all that is recorded, by what was written: not by what lies at the path."""
        return f"sha256:{self._written.hexdigest()}"

    def append(self, record: Record) -> None:
        """Chain a record and write it with one write, so that a crash tears at most its own line.

        Raises:
            OSError: the disk is full, or failed; what was written of the line is taken back.
        """
        line = json.dumps({**record, "prev": self._prev}, allow_nan=False).encode()
        size = os.fstat(self._fd).st_size
        if os.write(self._fd, line + b"\n") != len(line) + 1:
            os.ftruncate(self._fd, size)
            raise OSError(f"{self._path}: could not write a whole line; is the disk full?")
        os.fsync(self._fd)
        self._written.update(line + b"\n")
        self._prev = sha256(line)
        self.records.append(record)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(
                f"{self._path}: another driver runs this job", "wait until it has ended"
            ) from None

    def _cut_torn_line(self) -> None:
        """Move what follows the last newline, the mark of a crash, to results.jsonl.torn."""
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if torn := data[whole:]:
            with self._path.with_name(self._path.name + ".torn").open("ab") as file:
                file.write(torn + b"\n")
            os.ftruncate(self._fd, whole)
            os.fsync(self._fd)

    def _read(self, job_data: bytes, belongs: Mapping[str, str]) -> tuple[list[Record], str]:
        records: list[Record] = []
        prev = sha256(job_data)
        for number, line in enumerate(self._path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                record = json.loads(line)
                own = {key: record[key] for key in belongs} == belongs
                chained = record["prev"] == prev
            except (ValueError, LookupError, TypeError):
                own = chained = False
            if not (own and chained):
                raise JobError(
                    f"{self._path}:{number}: not the record that follows the line before it",
                    "results that were changed cannot be continued: start a new job",
                )
            records.append(record)
            prev = sha256(line)
        return records, prev
