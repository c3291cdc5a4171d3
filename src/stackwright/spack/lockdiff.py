"""What differs between two locks of Spack, whatever formats they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.spack.lockfile import Node, nodes


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The packages that differ, a line each: version, target, compiler and variants.

    A package that is there several times is told by its versions.
    """
    before, after = _by_name(old), _by_name(new)
    names = sorted(before.keys() | after.keys())
    return [line for name in names for line in _of(name, before, after)]


def _by_name(lock: Mapping[str, Any]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes(lock):
        found.setdefault(node.name, []).append(node)
    return found


def _of(
    name: str, before: Mapping[str, list[Node]], after: Mapping[str, list[Node]]
) -> Iterator[str]:
    old, new = before.get(name, []), after.get(name, [])
    if len(old) != 1 or len(new) != 1:
        was, now = _versions(old), _versions(new)
        if was != now:
            yield f"{name} {was} -> {now}"
        return
    changed = [
        f"{what} {was or '(none)'} -> {now or '(none)'}".strip()
        for what, was, now in _facts(old[0], new[0])
        if was != now
    ]
    if changed:
        yield f"{name} {', '.join(changed)}"


def _facts(old: Node, new: Node) -> Iterator[tuple[str, str | None, str | None]]:
    yield "", old.version, new.version
    yield "target", old.target, new.target
    yield "compiler", old.compiler, new.compiler
    for variant in sorted(old.variants.keys() | new.variants.keys()):
        yield variant, _shown(old.variants.get(variant)), _shown(new.variants.get(variant))


def _shown(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def _versions(found: list[Node]) -> str:
    return " and ".join(node.version for node in found) or "(absent)"
