"""The safe part of YAML: nodes with places, and plain values without surprises.

Refused, each with a place: files over 1 MiB, nesting over 32 levels, anchors and aliases (so no
"billion laughs"), tags, several documents, duplicate keys, ``yes``/``no``/``on``/``off``, numbers
that aren't plain decimals, keys that aren't text, and control characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stackwright.errors import Location, ManyErrors, StackwrightError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

# libyaml's loader is ten times as fast; PyYAML may have been built without it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NUMBERS: Mapping[str, tuple[re.Pattern[str], Callable[[str], int | float]]] = {
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})"), int),
    "float": (re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]{1,2})?"), float),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def parse(path: Path, shown: Path) -> yaml.Node:
    """Read a file into a tree of nodes; errors name it as ``shown``.

    Raises:
        ManyErrors: the file can't be read, isn't YAML, or breaks a limit.
    """
    text = _read(path, shown)
    try:
        _check_events(text, shown)
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        what, mark = told(error, text)
        where = place(shown, mark) if mark else Location(shown)
        raise _one(f"not valid YAML: {what}", where) from error
    if root is None:
        raise _one("the file is empty", Location(shown))
    return root


def told(error: yaml.YAMLError, text: str) -> tuple[str, Any]:
    """Why a text is no YAML, in one line, and the mark of the place; None where it has none."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error).splitlines()[0], None
    mark = error.problem_mark or error.context_mark
    what = "a tab can't indent; use spaces" if mark and _is_tab(text, mark) else error.problem
    return str(what or error.context), mark


def _is_tab(text: str, mark: Any) -> bool:
    lines = text.splitlines()
    line: str = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column :].startswith("\t")


def place(shown: Path, mark: Any) -> Location:
    """A YAML mark as a place that counts from 1."""
    return Location(shown, mark.line + 1, mark.column + 1)


def find(root: yaml.Node, path: Sequence[str | int], *, key: bool = False) -> yaml.Node:
    """The node at a path, or the nearest one around it; with ``key`` the last key itself.

    Path elements that name nothing in the file (such as the tag of a union) are passed over.
    """
    node = root
    for depth, step in enumerate(path):
        pair = _child(node, step)
        if pair is not None:
            node = pair[0] if key and depth == len(path) - 1 else pair[1]
    return node


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next((pair for pair in node.value if pair[0].value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


class PlainReader:
    """Turns nodes into plain values and collects what is wrong with them."""

    def __init__(self, shown: Path) -> None:
        """Start with no errors; places name the file as ``shown``."""
        self.errors: list[StackwrightError] = []
        self._shown = shown

    def value(self, node: yaml.Node) -> Any:
        """The node as None, bool, int, float, str, list or dict."""
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._key(key)
            if name in first:
                before = place(self._shown, first[name].start_mark)
                self._error(key, f"duplicate key '{name}' (first at {before})")
                continue
            first[name] = key
            result[name] = self.value(value)
        return result

    def _key(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            self._error(key, "a key must be text")
            return f"<key at {key.start_mark.line}:{key.start_mark.column}>"
        self._text(key)
        if key.tag == f"{_TAG}merge":
            self._error(key, "merge keys ('<<') are not supported; write the entries out")
        elif key.tag not in (f"{_TAG}str", f"{_TAG}timestamp"):
            self._error(key, f"a key must be text; write '{key.value}' in quotes")
        return str(key.value)

    def _scalar(self, node: yaml.Node) -> Any:
        self._text(node)
        kind, raw = node.tag.removeprefix(_TAG), str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return self._truth(node, raw)
        if kind in _NUMBERS:
            pattern, convert = _NUMBERS[kind]
            if pattern.fullmatch(raw):
                return convert(raw)
            self._error(node, f"{raw} is not a plain decimal number; write '{raw}' in quotes")
        return raw

    def _truth(self, node: yaml.Node, raw: str) -> bool:
        if raw not in ("true", "false"):
            meant = "true" if raw.lower() in ("yes", "on", "true") else "false"
            what = f"{raw} would be read as {meant}; write {meant}, or '{raw}' in quotes"
            self._error(node, what)
        return raw == "true"

    def _text(self, node: yaml.Node) -> None:
        if _CONTROL.search(node.value):
            self._error(node, "a control character is not allowed here")

    def _error(self, node: yaml.Node, what: str) -> None:
        self.errors.append(StackwrightError(what, where=place(self._shown, node.start_mark)))


def _read(path: Path, shown: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise _one(f"can't be read: {error.strerror}", Location(shown)) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _one("not valid UTF-8", Location(shown, line)) from error
    if len(data) > MAX_BYTES:
        raise _one(f"larger than {MAX_BYTES} bytes", Location(shown))
    return text


def _check_events(text: str, shown: Path) -> None:
    """Refuse what could make composing expensive, before anything is composed."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        where = place(shown, event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _one("anchors and aliases are not supported; write the value out", where)
        if tag := getattr(event, "tag", None):
            raise _one(f"tags such as {tag} are not supported; remove it", where)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _one("a file holds one document; remove the '---'", where)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _one(f"nested more than {MAX_DEPTH} levels deep", where)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _one(what: str, where: Location) -> ManyErrors:
    return ManyErrors([StackwrightError(what, where=where)])
