"""Labels together with their plans and states, as ``list``, ``show`` and ``plan`` print them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import click

from stackwright.cli.context import Context
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Version
from stackwright.locking.lockinputs import locked
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan, plan_hash, resolve
from stackwright.plans.plandiff import Change, compare
from stackwright.plans.states import State, StoreFacts, reached, read_facts, read_plan, state_of
from stackwright.spack.locked import locked_from_source


@dataclass(frozen=True)
class Row:
    """One label now.

    Args:
        state: what users have, or how far the label is on its way to them.
        progress: how far what the files say now has come, whatever users have.
        changes: None when nothing was built before, or its plan is lost.
        lock: the lock, if it fits the plan; else why there is none to build with.
        waived: the cases that a certificate waives today, each with the last day.
    """

    label: Label
    entry: Version
    plan: Plan
    plan_hash: str
    state: State
    progress: State
    built: bool
    before: str | None
    changes: tuple[Change, ...] | None
    lock: Lock | StackwrightError
    waived: Mapping[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package in the lock; none without one that fits."""
        if isinstance(self.lock, StackwrightError):
            return {}
        return {wheel.name: wheel.version for wheel in self.lock.wheels.installed}


def reachable(context: Context, labels: Iterable[Label]) -> list[Label]:
    """The labels whose system's store can be named on this machine; says which systems' can't.

    A site has systems that are elsewhere, whose stores lie under variables that only they set.

    Raises:
        StackwrightError: no system's store can be named.
    """
    labels = list(labels)
    absent = unreachable(context, labels)
    found = [label for label in labels if label.system not in absent]
    if absent and not found:
        raise next(iter(absent.values()))
    if absent:
        first, *others = absent.values()
        more = f" (and {len(others)} more like it)" if others else ""
        systems = ", ".join(f"'{system}'" for system in absent)
        click.echo(f"warning: {first.what}{more}: the labels of {systems} are left out", err=True)
    return found


def unreachable(context: Context, labels: Iterable[Label]) -> dict[str, StackwrightError]:
    """The systems of labels whose stores can't be named on this machine, each with the reason."""
    absent: dict[str, StackwrightError] = {}
    for system in dict.fromkeys(label.system for label in labels):
        try:
            context.store(system)
        except StackwrightError as error:
            absent[system] = error
    return absent


def overview(
    context: Context, labels: Iterable[Label], elsewhere: Collection[str] = ()
) -> Iterator[Row]:
    """Resolve labels and look them up in the stores of their systems.

    Args:
        elsewhere: the systems whose stores can't be named here; nothing is known to be in them.
    """
    stores: dict[str, tuple[Path, StoreFacts]] = {}
    now = datetime.now(timezone.utc)
    for label in labels:
        if label.system in elsewhere:
            stores[label.system] = Path(), StoreFacts()
        elif label.system not in stores:
            store = context.store(label.system).root
            stores[label.system] = store, read_facts(store, now)
        yield _row(context, label, *stores[label.system])


def _row(context: Context, label: Label, store: Path, facts: StoreFacts) -> Row:
    entry = context.site.stack(label.stack).versions[label.version]
    plan = resolve(context.site, label)
    digest = plan_hash(plan)
    lock = _lock(plan, context.site)
    has_lock = isinstance(lock, Lock) or locked_from_source(plan, context.site)
    latest = facts.latest(label)
    old = read_plan(store, latest) if latest else None
    own = {setting.name for setting in context.site.system(label.system).environment}
    return Row(
        label=label,
        entry=entry,
        plan=plan,
        plan_hash=digest,
        state=state_of(label, digest, facts, locked=has_lock, retired=entry.status == "retired"),
        progress=reached(digest, facts, locked=has_lock),
        built=any(built.plan_hash == digest for built in facts.built),
        before=latest.plan_hash if latest else None,
        changes=compare(old, plan.to_json(), label, own) if old else None,
        lock=lock,
        waived=facts.waivers(label, digest),
    )


def _lock(plan: Plan, site: Site) -> Lock | StackwrightError:
    try:
        return locked(plan, site)
    except StackwrightError as error:
        return error
