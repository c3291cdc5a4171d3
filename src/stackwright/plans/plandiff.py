"""What differs between two plans, field by field: why something is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One field that differs between two plans; None where a plan lacks it."""

    field: str
    old: str | None
    new: str | None


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that differ between two plans in JSON form, by name."""
    before, after = dict(_flat("", old)), dict(_flat("", new))
    return tuple(
        Change(field, before.get(field), after.get(field))
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    )


def _flat(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """Leaves by their dotted names; an element of a list is named by itself or by its name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{field}.{key}" if field else key, inner)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                name = item.get("name") or item.get("model")
                yield from _flat(f"{field}[{name}]", item)
            else:
                yield f"{field}[{_requirement_name(item)}]", str(item)
    elif value is not None:
        yield field, str(value)


def _requirement_name(item: object) -> str:
    """The part of a requirement that stays when its version changes."""
    text = str(item)
    end = next((i for i, c in enumerate(text) if not (c.isalnum() or c in "._-")), len(text))
    return text[:end] or text
