"""Render the site's Jinja templates, with values quoted for the language they land in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import shown_path

_LUA_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARK = re.compile(r"\x00(.+?):(\d+)\x00")


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


class _Marked(Extension):
    """Has each line of what is rendered end with the template and the line that it came from."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        for token in stream:
            if token.type == "data":
                lines = token.value.split("\n")
                marked = "".join(
                    f"{text}\0{stream.name}:{number}\0\n"
                    for number, text in enumerate(lines[:-1], token.lineno)
                )
                yield Token(token.lineno, token.type, marked + lines[-1])
            else:
                yield token


@lru_cache(maxsize=16)
def _environment(folder: Path, *extensions: type[Extension]) -> Environment:
    """Shared, as compiling a template takes ten times as long as rendering it.

    Jinja compiles a template again when its file has changed.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        extensions=extensions,
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
        with self._told(name):
            return self._environment.get_template(name).render(context).encode()

    def parse(self, name: str) -> nodes.Template:
        """What a template says, as Jinja reads it.

        Raises:
            StackwrightError: it isn't there, or has a syntax error.
        """
        with self._told(name):
            text, file, _ = FileSystemLoader(self._folder).get_source(self._environment, name)
            return self._environment.parse(text, name, file)

    def origin(self, name: str, context: Mapping[str, Any], line: int) -> Location:
        """Where a line comes from: a template, one that it extends, or one that it includes.

        Args:
            line: of what ``name`` renders, from 1.
        """
        marked = _environment(self._folder, _Marked).get_template(name).render(context)
        found = [each for text in marked.split("\n")[:line] for each in _MARK.findall(text)]
        file, number = found[-1] if found else (name, 1)
        return Location(shown_path(self._folder / file), int(number))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Jinja's errors at their places."""
        try:
            yield
        except TemplateSyntaxError as error:
            where = Location(shown_path(Path(error.filename or self._folder / name)), error.lineno)
            raise StackwrightError(error.message or "syntax error", where=where) from error
        except RecursionError as error:
            where = Location(shown_path(self._folder / name))
            raise StackwrightError("it extends or includes itself", where=where) from error
        except (TemplateError, ValueError) as error:
            what = str(error)
            if isinstance(error, TemplateNotFound) and isinstance(error.name, str):
                guess = did_you_mean(error.name, self._environment.list_templates())
                what = f"there is no template '{error.name}'{guess}"
            where = Location(shown_path(self._folder / name), _line_in(error, name))
            raise StackwrightError(what, where=where) from error


def _line_in(error: BaseException, name: str) -> int | None:
    """The line of the template that the error came from, as Jinja's rewritten traceback has it."""
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.endswith(name):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return lines[-1] if lines else None
