"""Untrusted YAML to validated models; every mistake in a file is reported at once, in place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from stackwright import yamltree
from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.suggest import closest, did_you_mean

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Document(Generic[M]):
    """A validated model, and where each of its values is written."""

    value: M
    file: Path
    root: yaml.Node

    def where(self, *path: str | int) -> Location:
        """The place of a value, or of the nearest value around it that is in the file."""
        return yamltree.place(self.file, yamltree.find(self.root, path).start_mark)

    def error(self, what: str, *path: str | int, hint: str | None = None) -> StackwrightError:
        """An error that points at a value."""
        return StackwrightError(what, where=self.where(*path), hint=hint)


def load(path: Path, model: type[M]) -> M:
    """Read a YAML file into a model.

    Raises:
        ManyErrors: every mistake in the file, each as ``file:line:column: what``.
    """
    return load_document(path, model).value


def load_document(path: Path, model: type[M]) -> Document[M]:
    """Like :func:`load`, and keeps the places of the values for later checks."""
    shown = shown_path(path)
    root = yamltree.parse(path, shown)
    reader = yamltree.PlainReader(shown)
    plain = reader.value(root)
    errors = reader.errors
    try:
        # Strict JSON mode converts no types, yet takes lists for tuples and text for dates.
        value = model.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        known = {e.where for e in errors}
        errors += [e for e in _explain(error, model, root, shown) if e.where not in known]
    if errors:
        raise ManyErrors(sorted(errors, key=_place))
    return Document(value, shown, root)


def shown_path(path: Path) -> Path:
    """The path as a user would type it: relative when it lies below the current directory."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def _place(error: StackwrightError) -> tuple[int, int]:
    return (error.where.line or 0, error.where.column or 0) if error.where else (0, 0)


def _explain(
    error: ValidationError, model: type[BaseModel], root: yaml.Node, shown: Path
) -> Iterator[StackwrightError]:
    """Pydantic's errors in the user's words and places."""
    details = error.errors(include_url=False)
    mistyped = {
        (*detail["loc"][:-1], closest(str(detail["loc"][-1]), _keys_at(model, detail["loc"][:-1])))
        for detail in details
        if detail["type"] == "extra_forbidden"
    }
    for detail in details:
        loc: Loc = detail["loc"]
        if detail["type"] == "missing" and loc in mistyped:
            continue  # the unknown key beside it is this one, mistyped
        at_key = detail["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
        path = loc[:-1] if loc[-1:] == ("[key]",) else loc
        node = yamltree.find(root, path, key=at_key)
        what = _sentence(dict(detail), node, _keys_at(model, loc[:-1]))
        yield StackwrightError(what, where=yamltree.place(shown, node.start_mark))


def _sentence(detail: dict[str, Any], node: yaml.Node, siblings: Iterable[str]) -> str:
    """One pydantic error as one line."""
    name = next((step for step in reversed(detail["loc"]) if isinstance(step, str)), "the file")
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{did_you_mean(name, siblings)}"
    if kind == "missing":
        return f"missing key '{name}'"
    if kind in ("literal_error", "enum"):
        legal = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        hint = did_you_mean(str(given), legal) or f" (legal: {', '.join(legal)})"
        return f"{given!r} is not a legal '{name}'{hint}"
    if (
        kind == "string_type"
        and isinstance(node, yaml.ScalarNode)
        and node.value
        and not node.style
    ):
        return f"'{name}' must be text; write '{node.value}' in quotes"
    if kind in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    wanted = _WANTED.get(kind)
    return f"'{name}' must be {wanted}" if wanted else f"'{name}': {detail['msg']}"


_WANTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "frozen_set_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "date_type": "a date such as 2027-12-31",
    "date_from_datetime_parsing": "a date such as 2027-12-31",
    "date_from_datetime_inexact": "a date such as 2027-12-31",
    "date_parsing": "a date such as 2027-12-31",
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
            field = alternative.model_fields.get(str(step))
            below.append(field.annotation if field else alternative)
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
