"""What differs between two plans, field by field: why something is rebuilt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackwright.inputs.labels import Label

# Where a field of a plan comes from; what isn't named here comes from the stack file.
_ORIGINS: Mapping[str, str] = {
    "base": "systems/{system}.yaml",
    "machine": "systems/{system}.yaml",
    "common": "stacks/common",
    "sources": "recipes",
    "lock_digest": "stacks/locks/{stack}-{release}@{system}.lock.json",
}


@dataclass(frozen=True)
class Change:
    """One field that differs between two plans; None where a plan lacks it.

    Args:
        file: the file or folder of the site that the field comes from.
    """

    file: str
    field: str
    old: str | None
    new: str | None


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    label: Label,
    set_by_system: Collection[str] = (),
) -> tuple[Change, ...]:
    """The fields that differ between two plans of a label in JSON form, by name.

    Args:
        set_by_system: the variables whose value is the system file's.
    """
    before, after = fields(old), fields(new)
    return tuple(
        Change(
            _origin(field, new, label, set_by_system), field, before.get(field), after.get(field)
        )
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    )


def fields(plan: Mapping[str, Any]) -> dict[str, str]:
    """Every leaf by its dotted name; elements of a list that share a name, in their order."""
    found: dict[str, str] = {}
    for name, value in _flat("", plan):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _origin(
    field: str, plan: Mapping[str, Any], label: Label, set_by_system: Collection[str]
) -> str:
    top, _, rest = field.partition(".")
    if top == "templates":
        return rest
    if field == "overlay.digest" and plan["overlay"] is not None:
        return str(plan["overlay"]["folder"])
    top, _, name = top.rstrip("]").partition("[")
    if top == "environment" and name in set_by_system:
        top = "machine"
    form = _ORIGINS.get(top, "stacks/{stack}.yaml")
    return form.format(stack=label.stack, release=label.release, system=label.system)


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
