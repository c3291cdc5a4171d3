"""Render the site's Jinja templates, with values quoted for the language they land in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from stackwright.errors import Location, StackwrightError

_LUA_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def quote_lua(value: str) -> str:
    """A Lua string literal (Lua 5.3 reference manual, section 3.1)."""
    escaped = "".join(_LUA_ESCAPES.get(character, character) for character in value)
    return f'"{_CONTROL.sub(lambda match: f"{chr(92)}{ord(match.group()):03d}", escaped)}"'


def quote_dockerfile(value: str) -> str:
    """A value of a Containerfile's ENV or LABEL, with nothing left to expand.

    Raises:
        ValueError: it holds a control character, which an instruction can't carry.
    """
    if _CONTROL.search(value):
        raise ValueError(f"{value!r} holds a control character")
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


@lru_cache(maxsize=16)
def _environment(folder: Path) -> Environment:
    """Shared, as compiling a template takes ten times as long as rendering it.

    Jinja compiles a template again when its file has changed.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (shell, Lua and JSON, not HTML; each value is quoted)
    )
    environment.filters["shell"] = shlex.quote
    environment.filters["lua"] = quote_lua
    environment.filters["dockerfile"] = quote_dockerfile
    return environment


class Templates:
    """The templates of one content folder.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        """Look at a folder; nothing is read yet."""
        self._folder = folder
        self._environment = _environment(folder)

    def render(self, name: str, context: Mapping[str, Any]) -> bytes:
        """Render one template.

        Raises:
            StackwrightError: it has a syntax error, or uses a name that isn't given.
        """
        try:
            return self._environment.get_template(name).render(context).encode()
        except TemplateSyntaxError as error:
            where = Location(error.filename or self._folder / name, error.lineno)
            raise StackwrightError(error.message or "syntax error", where=where) from error
        except (TemplateError, ValueError) as error:
            where = Location(self._folder / name, _line_in(error, name))
            raise StackwrightError(str(error), where=where) from error


def _line_in(error: BaseException, name: str) -> int | None:
    """The line of the template that the error came from, as Jinja's rewritten traceback has it."""
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.endswith(name):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return lines[-1] if lines else None
