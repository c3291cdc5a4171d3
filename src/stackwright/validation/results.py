"""Reads job.json and results.jsonl into frozen values, as docs/formats.md defines them.

A job that cannot be read is an error: nothing can be judged then. A line of results that cannot be
read, or does not belong where it stands, is a defect with its line number; no line is dropped
silently, and the gate passes nothing that has a defect.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from stackwright.errors import ExitCode, Location, ManyErrors, StackwrightError
from stackwright.validation.records import Job, Run, Value, require_unique

MAX_LINE = 64 * 2**20
"""Bytes of one line; a driver keeps 4 MiB of each rank, so this is far above what it writes."""


@dataclass(frozen=True)
class Results:
    """The runs that could be read, in the file's order, and every defect of the file."""

    runs: tuple[Run, ...]
    defects: tuple[str, ...]


def sha256(data: bytes) -> str:
    """Hash in the form that every file of Stackwright uses."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def load_job(data: bytes, name: str = "job.json") -> Job:
    """Read a job.

    Raises:
        StackwrightError: it is not a job; every problem is listed.
    """
    problems, job = _parse(Job, data)
    if job is None:
        raise ManyErrors([_job_error(name, problem) for problem in problems])
    return job


def load_results(data: bytes, job: Job, job_data: bytes, name: str = "results.jsonl") -> Results:
    """Read the runs of a job and verify that they are its own, all of them, and unchanged."""
    *lines, rest = data.split(b"\n")
    runs: list[Run] = []
    defects: list[str] = []
    before = job_data
    for number, line in enumerate(lines, start=1):
        problems, run = _parse(Run, line)
        if run is not None:
            runs.append(run)
            problems = _misplaced(run, job, before)
        defects += [f"{name}:{number}: {problem}" for problem in problems]
        before = line
    if rest:
        defects.append(f"{name}:{len(lines) + 1}: the last line is cut off")
    return Results(tuple(runs), tuple(defects))


def _misplaced(run: Run, job: Job, before: bytes) -> list[str]:
    """Why a line cannot stand where it does."""
    problems = []
    if run.prev != sha256(before):
        problems.append("'prev' is not the hash of what stands before: lines were changed")
    if run.job_id != job.job_id:
        problems.append(f"is a run of another job, {run.job_id!r}")
    if run.nonce != job.nonce:
        problems.append("has another nonce: it is left over from an earlier job")
    return problems


_V = TypeVar("_V", bound=Value)


def _parse(model: type[_V], data: bytes) -> tuple[list[str], _V | None]:
    """A value, or the reasons why there is none."""
    try:
        _strict_json(data)
        return [], model.model_validate_json(data)
    except ValidationError as error:
        return [_describe(e) for e in error.errors(include_url=False, include_input=False)], None
    except RecursionError:
        return ["is nested too deeply"], None
    except ValueError as error:
        return [str(error)], None


def _strict_json(data: bytes) -> None:
    """Raise ValueError for what pydantic's JSON reader would let through, or read in two ways."""
    if len(data) > MAX_LINE:
        raise ValueError(f"is {len(data)} bytes long; at most {MAX_LINE} are read")
    try:
        json.loads(
            data.decode(),
            object_pairs_hook=_no_repeated_key,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (column {error.colno})") from None


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require_unique("key", (key for key, _ in pairs))
    return dict(pairs)


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(f'{literal} is not JSON; write the string "nan", "inf" or "-inf"')


def _finite(literal: str) -> float:
    if not math.isfinite(number := float(literal)):
        raise ValueError(f"{literal} is too large for a double")
    return number


def _describe(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _job_error(name: str, problem: str) -> StackwrightError:
    return StackwrightError(
        problem,
        where=Location(name),
        hint="`stackwright validate LABEL` writes a new job; a job is never edited by hand",
        code=ExitCode.INVALID,
    )
