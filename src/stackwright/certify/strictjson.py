"""JSON from untrusted files: one meaning per text, or an error."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from stackwright.errors import ExitCode, StackwrightError

MAX_BYTES = 16 * 1024 * 1024


def parse(data: bytes, name: str, *, limit: int = MAX_BYTES) -> Any:
    """Parse UTF-8 JSON; duplicate keys, NaN, and more than ``limit`` bytes are errors.

    Two parsers may disagree about a duplicate key, and then a verifier and a reader see
    different certificates under one signature.

    Raises:
        StackwrightError: naming ``name``, with the reason.
    """
    if len(data) > limit:
        raise _invalid(f"{name} has {len(data)} bytes, more than the {limit} allowed")
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError:
        raise _invalid(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise _invalid(f"{name} is not valid JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _invalid(what: str) -> StackwrightError:
    return StackwrightError(
        what, hint="fetch the file again from the store that wrote it", code=ExitCode.INVALID
    )
