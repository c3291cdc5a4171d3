"""What differs between two locks of Spack, whatever formats they have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from stackwright.locking.difference import Difference
from stackwright.spack.lockfile import Node, SpackLock, nodes


def differences(old: SpackLock, new: SpackLock) -> list[Difference]:
    """What differs in what solved, then in each package: version, target, compiler, variants.

    A package that is there several times is compared by its versions, from the lowest hash.
    """
    before, after = _by_name(old), _by_name(new)
    names = sorted(before.keys() | after.keys())
    packages = (one for name in names for one in _of(before.get(name, []), after.get(name, [])))
    return [*_solvers(old, new), *packages]


def _solvers(old: SpackLock, new: SpackLock) -> Iterator[Difference]:
    pairs = {
        "spack": (old.spack, new.spack),
        "spack-packages": (old.packages, new.packages),
    }
    for name, (was, now) in pairs.items():
        for what in ("version", "commit"):
            before, after = getattr(was, what, None), getattr(now, what, None)
            if before != after:
                yield Difference("solver", name, what, before, after)


def _by_name(lock: SpackLock) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes(lock.lock):
        found.setdefault(node.name, []).append(node)
    return found


def _of(before: list[Node], after: list[Node]) -> Iterator[Difference]:
    """What differs in the packages of one name: those of one version are each other's."""
    old, new = [*before], [*after]
    for one in before:
        same = next((other for other in new if other.version == one.version), None)
        if same is not None:
            old.remove(one)
            new.remove(same)
            yield from _facts(one, same)
    for was, now in zip_longest(old, new):
        yield from _facts(was, now)


def _facts(old: Node | None, new: Node | None) -> Iterator[Difference]:
    """What differs in a package; of one that only one lock has, its version says enough."""
    before, after = (_told(node) if node else {} for node in (old, new))
    facts = dict.fromkeys([*before, *after]) if old and new else ("version",)
    name = next(node.name for node in (old, new) if node)
    for what in facts:
        if before.get(what) != after.get(what):
            yield Difference("spack", name, what, before.get(what), after.get(what))


def _told(node: Node) -> dict[str, str | None]:
    variants = {name: _shown(value) for name, value in sorted(node.variants.items())}
    facts = {"version": node.version, "target": node.target, "compiler": node.compiler}
    return {**facts, **variants}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
