"""Untrusted YAML to validated models; every mistake in a file is reported at once, in place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.inputs import yamltree
from stackwright.inputs.yamlerrors import explain

M = TypeVar("M", bound=BaseModel)


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
        errors += [e for e in explain(error, model, root, shown) if e.where not in known]
    if errors:
        raise many_errors(errors)
    return Document(value, shown, root)


def many_errors(errors: Iterable[StackwrightError]) -> ManyErrors:
    """Errors of one file, in the order of their places."""
    return ManyErrors(sorted(errors, key=_place))


def shown_path(path: Path) -> Path:
    """The path as a user would type it: relative when it lies below the current directory."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def _place(error: StackwrightError) -> tuple[int, int]:
    return (error.where.line or 0, error.where.column or 0) if error.where else (0, 0)
