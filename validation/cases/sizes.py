"""Reads a science model's sizes and hyper-parameters: a TOML file, held against its dataclasses.

A mistake in it ends the case with one line that names file, table and key: whoever writes a model
is to read that, not a traceback. The keys are in docs/adding-a-case.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import tomllib

TABLES = ("model", "training")
NAMES = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table",
}

Model = TypeVar("Model")
Training = TypeVar("Training")
Kind = TypeVar("Kind")


def read(file: Path) -> dict[str, Any]:
    """Give the tables of a file, by scale.

    Raises:
        SystemExit: it is not there, is no TOML, or holds something else than tables.
    """
    try:
        scales = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse(f"{file}: {error}")
    for name, scale in scales.items():
        if not isinstance(scale, dict):
            refuse(f"{file}: '{name}' stands outside of tables such as [small.{TABLES[1]}]")
    return scales


def load(
    file: Path, scale: str, model: type[Model], training: type[Training]
) -> tuple[Model, Training]:
    """Make a model and its training of the two tables of a scale.

    Raises:
        SystemExit: a table or key is missing, unknown, of the wrong type, or refused by its class.
    """
    tables = read(file)
    if scale not in tables:
        refuse(f"{file}: no table [{scale}.{TABLES[0]}]{guess(scale, tables)}")
    for name in tables[scale]:
        if name not in TABLES:
            refuse(f"{file}: unknown table [{scale}.{name}]{guess(name, TABLES)}")
    for name in TABLES:
        if not isinstance(tables[scale].get(name), dict):
            refuse(f"{file}: no table [{scale}.{name}]")
    of_model, of_training = (tables[scale][name] for name in TABLES)
    return (
        _made(model, of_model, f"{file}: [{scale}.{TABLES[0]}]"),
        _made(training, of_training, f"{file}: [{scale}.{TABLES[1]}]"),
    )


def guess(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Give what was meant by a misspelt name, if anything is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def refuse(what: str) -> NoReturn:
    """End the case with one line."""
    raise SystemExit(f"error: {' '.join(what.split())}")


def _made(kind: type[Kind], table: dict[str, Any], where: str) -> Kind:
    wanted = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    types = get_type_hints(kind)
    for key, value in table.items():
        if key not in wanted:
            refuse(f"{where}: unknown key '{key}'{guess(key, wanted)}")
        if not _fits(value, types[key]):
            refuse(f"{where}: '{key}' is {value!r}, not {_called(types[key])}")
    for key, field in wanted.items():
        if key not in table and field.default is MISSING:
            refuse(f"{where}: no '{key}', which is {_called(types[key])}")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except ValueError as error:
        refuse(f"{where}: {error}")


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_fits(one, get_args(kind)[0]) for one in value)
    if kind is float:
        kind = (int, float)
    elif get_origin(kind) is not None:
        kind = get_origin(kind)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _called(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"a list, each of it {NAMES[get_args(kind)[0]]}"
    return NAMES.get(get_origin(kind) or kind, str(kind))
