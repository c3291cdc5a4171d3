"""Pydantic's errors in the words of the person who wrote the file, and at their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from stackwright.errors import StackwrightError
from stackwright.inputs import yamltree
from stackwright.inputs.suggest import closest, did_you_mean

Loc = tuple[str | int, ...]


def explain(
    error: ValidationError, model: type[BaseModel], root: yaml.Node, shown: Path
) -> Iterator[StackwrightError]:
    """Pydantic's errors in the user's words and places."""
    details = error.errors(include_url=False)
    mistyped = {
        (*detail["loc"][:-1], closest(str(detail["loc"][-1]), _keys_at(model, detail["loc"][:-1])))
        for detail in details
        if detail["type"] == "extra_forbidden"
    }
    around = {detail["loc"][:end] for detail in details for end in range(len(detail["loc"]))}
    for detail in details:
        loc: Loc = detail["loc"]
        if detail["type"] == "missing" and loc in mistyped:
            continue  # the unknown key beside it is this one, mistyped
        if detail["type"] == "too_short" and loc in around:
            continue  # pydantic counts only the entries that are right
        at_key = detail["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
        path = loc[:-1] if loc[-1:] == ("[key]",) else loc
        node = yamltree.find(root, path, key=at_key)
        what = _sentence(dict(detail), node, _keys_at(model, loc[:-1]))
        yield StackwrightError(what, where=yamltree.place(shown, node.start_mark))


def _sentence(detail: dict[str, Any], node: yaml.Node, siblings: Iterable[str]) -> str:
    """One pydantic error as one line."""
    steps = [step for step in detail["loc"] if isinstance(step, str) and step != "[key]"]
    name = steps[-1] if steps else "the file"
    kind, context = detail["type"], detail.get("ctx", {})
    if detail["loc"][-1:] == ("[key]",):
        name = f"key of {steps[-2]}" if len(steps) > 1 else "key"
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{did_you_mean(name, siblings)}"
    if kind in ("literal_error", "enum"):
        legal = re.findall(r"'([^']*)'", context["expected"])
        guess = did_you_mean(str(detail["input"]), legal) or f" (legal: {', '.join(legal)})"
        return f"{detail['input']!r} is not a legal '{name}'{guess}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type" and isinstance(node, yaml.ScalarNode) and node.value:
        return f"'{name}' must be text; write '{node.value}' in quotes"
    said = _SAID.get(kind)
    return said.format(name=name, **context) if said else f"'{name}': {detail['msg']}"


_SAID: Mapping[str, str] = {
    "missing": "missing key '{name}'",
    "string_type": "'{name}' must be text",
    "int_type": "'{name}' must be a whole number",
    "int_from_float": "'{name}' must be a whole number",
    "float_type": "'{name}' must be a number",
    "bool_type": "'{name}' must be true or false",
    "tuple_type": "'{name}' must be a list",
    "list_type": "'{name}' must be a list",
    "frozen_set_type": "'{name}' must be a list",
    "set_type": "'{name}' must be a list",
    "dict_type": "'{name}' must be a mapping",
    "mapping_type": "'{name}' must be a mapping",
    "model_type": "'{name}' must be a mapping",
    "model_attributes_type": "'{name}' must be a mapping",
    "date_type": "'{name}' must be a date such as 2027-12-31",
    "date_from_datetime_parsing": "'{name}' must be a date such as 2027-12-31",
    "date_from_datetime_inexact": "'{name}' must be a date such as 2027-12-31",
    "date_parsing": "'{name}' must be a date such as 2027-12-31",
    "greater_than_equal": "'{name}' must be at least {ge}",
    "less_than_equal": "'{name}' must be at most {le}",
    "greater_than": "'{name}' must be more than {gt}",
    "less_than": "'{name}' must be less than {lt}",
    "too_short": "'{name}' must have at least {min_length} entry",
}


def _keys_at(model: type[BaseModel], loc: Loc) -> set[str]:
    """The keys that the models at a place know."""
    found: list[Any] = [model]
    for step in loc:
        found = [inner for annotation in found for inner in _inside(annotation, step)]
    return {
        field.alias or name
        for annotation in found
        for kind in _models(annotation)
        for name, field in kind.model_fields.items()
    }


def _inside(annotation: Any, step: str | int) -> list[Any]:
    """The annotations one step below; a step that isn't in the model is a union's tag."""
    below: list[Any] = []
    for alternative in _alternatives(annotation):
        arguments = get_args(alternative)
        if isinstance(alternative, type) and issubclass(alternative, BaseModel):
            fields = {f.alias or name: f.annotation for name, f in alternative.model_fields.items()}
            below.append(fields.get(str(step), alternative))
        elif isinstance(step, int) and arguments:
            below.append(arguments[0])
        elif len(arguments) == 2:  # noqa: PLR2004 - the key and the value of a mapping
            below.append(arguments[1])
    return below


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for alternative in _alternatives(annotation):
        if isinstance(alternative, type) and issubclass(alternative, BaseModel):
            yield alternative


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Members of a union, without their Annotated wrappers."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation
