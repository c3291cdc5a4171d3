"""The one error type that crosses the boundary between the core and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of every command; documented in docs/cli.md."""

    OK = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    MOVED_ON = 5


@dataclass(frozen=True)
class Location:
    """A place in an input file; line and column count from 1."""

    file: Path | str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Render as ``file:line:column``, as compilers do."""
        parts = [str(self.file), *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


class StackwrightError(Exception):
    """What went wrong, where, and what to type next.

    Args:
        what: one line; no trailing full stop.
        where: the place in an input file that is to blame, if there is one.
        hint: the command or the change that mends it.
        code: the exit code of the command that ends with this error.
    """

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        hint: str | None = None,
        code: ExitCode = ExitCode.USAGE,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        """Render as ``where: what``."""
        return f"{self.where}: {self.what}" if self.where else self.what


class ManyErrors(StackwrightError):  # noqa: N818  (they are several)
    """Several errors found in one pass over the input, reported together."""

    def __init__(self, errors: list[StackwrightError]) -> None:
        super().__init__("\n".join(str(e) for e in errors), code=errors[0].code)
        self.errors = errors

    def __str__(self) -> str:
        """One line per error."""
        return self.what
