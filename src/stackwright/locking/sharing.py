"""Layers that stacks of a system have in common: what one's lock says agrees with the others'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.locking.difference import told
from stackwright.locking.lockinputs import lock_inputs, stale_parts
from stackwright.locking.locks import Layer, Lock, Wheels, drift, load_lock, wheel_differences
from stackwright.plans.plan import Plan, resolve


def neighbours(site: Site, plan: Plan) -> list[Lock]:
    """The locks of other labels for the same system and Python that fit their files.

    A file with mistakes counts for nothing here: they are told where it is read.
    """
    found = []
    for name in site.stack_names:
        with suppress(ManyErrors):
            labels = sorted(site.labels_like(f"{name}@{plan.system}"), key=str)
            locks = [_lock(site, label, plan.python) for label in labels if label != plan.label]
            found += [lock for lock in locks if lock is not None]
    return found


def _lock(site: Site, label: Label, python: str) -> Lock | None:
    path = site.lock_file(label)
    if not path.is_file():
        return None
    try:
        lock, other = load_lock(path, label), resolve(site, label)
    except StackwrightError:
        return None
    return lock if other.python == python and not stale_parts(lock, lock_inputs(other)) else None


def preferred(locks: Sequence[Lock]) -> Wheels | None:
    """The wheels that others have, of which a new lock takes the versions where it can."""
    wheels = {wheel.name: wheel for lock in locks for wheel in lock.wheels.installed}
    if not wheels:
        return None
    return Wheels(tools=(), layers=(Layer(name="packages", wheels=tuple(wheels.values())),))


def unshared(lock: Lock, others: Sequence[Lock]) -> Iterator[str]:
    """The layers that could be the same in two stacks of a system and aren't, a line each."""
    mine = {layer.name: layer for layer in lock.wheels.layers[:-1]}  # the last is the stack's own
    for other in others:
        if lock.base.source == other.base.source and lock.base.digest != other.base.digest:
            yield _line("base", other, told(drift(other.base, lock.base)) or ["other files"])
        for layer in other.wheels.layers[:-1]:
            if layer.name in mine and (found := wheel_differences(layer, mine[layer.name])):
                yield _line(f"layer {layer.name}", other, told(found))


def _line(what: str, other: Lock, differences: Sequence[str]) -> str:
    some = ", ".join(chain(differences[:3], ["..."] if len(differences) > 3 else []))  # noqa: PLR2004
    return f"its {what} is another than that of {other.label}, and can't be shared: {some}"
