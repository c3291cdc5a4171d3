"""How far each label has come, told from the plain files of a store (docs/formats.md).

States are for the eye: nothing is verified here, and nothing is released on the word of a state.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from stackwright.inputs.fields import PART
from stackwright.inputs.labels import Label

State = Literal[
    "planned", "locked", "built", "validated", "certified", "released", "stale", "retired"
]


@dataclass(frozen=True)
class Built:
    """An artefact of the store: what it is called and where its prefix lies."""

    label: str
    plan_hash: str
    prefix: str


@dataclass(frozen=True)
class StoreFacts:
    """What a store says; ``built`` goes from the oldest to the newest, ``released`` by module.

    Args:
        waived: by the hash of a plan, the cases that its certificate waives today, each with the
            last day; the certificate is the one released, else the newest.
    """

    built: tuple[Built, ...] = ()
    validated: frozenset[str] = frozenset()
    certified: frozenset[str] = frozenset()
    released: Mapping[str, str] = field(default_factory=dict)
    waived: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def released_plan(self, label: Label) -> str | None:
        """The hash of the plan that is released for a label.

        A pointer doesn't name its system; the artefact that it points to does.
        """
        pointer = self.released.get(label.module)
        owners = {built.label for built in self.built if built.plan_hash == pointer}
        return pointer if not owners or str(label) in owners else None

    def latest(self, label: Label) -> Built | None:
        """What users have of a label; else what was built last."""
        released = self.released_plan(label)
        mine = [built for built in self.built if built.label == str(label)]
        return next((b for b in mine if b.plan_hash == released), mine[-1] if mine else None)

    def waivers(self, label: Label, plan_hash: str) -> Mapping[str, str]:
        """What is waived of what users have of a label; else of its plan."""
        return self.waived.get(self.released_plan(label) or plan_hash, {})


def state_of(
    label: Label, plan_hash: str, facts: StoreFacts, *, locked: bool, retired: bool
) -> State:
    """How far a label is: for one that users have, whether it still is what its files say.

    Args:
        locked: whether there is a lock that fits the plan.
    """
    released = facts.released_plan(label)
    if retired:
        return "retired"
    if released is not None:
        return "released" if released == plan_hash else "stale"
    return reached(plan_hash, facts, locked=locked)


def reached(plan_hash: str, facts: StoreFacts, *, locked: bool) -> State:
    """The furthest stage before its release that a plan has reached, whatever users have now."""
    stages: tuple[tuple[State, bool], ...] = (
        ("certified", plan_hash in facts.certified),
        ("validated", plan_hash in facts.validated),
        ("built", any(built.plan_hash == plan_hash for built in facts.built)),
        ("locked", locked),
    )
    return next((state for state, holds in stages if holds), "planned")


def read_facts(store: Path, now: datetime) -> StoreFacts:
    """Read a store; one that isn't there says nothing.

    A record that can't be read counts as absent: it proves nothing, and one damaged file must not
    hide the rest.
    """
    return StoreFacts(
        built=tuple(_built(store)),
        validated=frozenset(_validated(store)),
        certified=frozenset(_certified(store, now)),
        released=_released(store),
        waived=_waived(store, now),
    )


def read_plan(store: Path, built: Built) -> Mapping[str, Any] | None:
    """The plan that an artefact was built from, as its prefix keeps it."""
    return _object(store / built.prefix / "share" / "stackwright" / "plan.json")


def _built(store: Path) -> Iterator[Built]:
    for path in sorted((store / "artefacts").glob("*.json"), key=lambda p: p.stat().st_mtime):
        record = _object(path) or {}
        label, plan_hash = record.get("label"), record.get("plan_hash")
        prefix = _at(record, "prefix", "path")
        if isinstance(label, str) and isinstance(plan_hash, str) and isinstance(prefix, str):
            yield Built(label, plan_hash, prefix)


def _validated(store: Path) -> Iterator[str]:
    for path in (store / "runs").glob("*/judgement.json"):
        record = _object(path) or {}
        plan_hash = _at(record, "arms", "candidate", "plan_hash")
        part = str(_at(record, "suite", "name")).startswith(PART)
        if record.get("verdict") in ("PASS", "WAIVED") and isinstance(plan_hash, str) and not part:
            yield plan_hash


def _certified(store: Path, now: datetime) -> Iterator[str]:
    for path in (store / "certificates").glob("*.json"):
        statement = _payload(_object(path) or {})
        plan_hash = _at(statement, "predicate", "planHash")
        expires = _time(_at(statement, "predicate", "expires"))
        if isinstance(plan_hash, str) and expires is not None and now < expires:
            yield plan_hash


def _released(store: Path) -> dict[str, str]:
    hashes = {module: _at(pointer, "plan_hash") for module, pointer in _pointers(store).items()}
    return {module: value for module, value in hashes.items() if isinstance(value, str)}


def _pointers(store: Path) -> Mapping[str, Any]:
    pointers = _at(_object(store / "live" / "release.json") or {}, "pointers")
    return pointers if isinstance(pointers, dict) else {}


def _waived(store: Path, now: datetime) -> dict[str, dict[str, str]]:
    """By plan: a later certificate counts rather than an earlier one, the released one most."""
    live = {_at(pointer, "certificate") for pointer in _pointers(store).values()}

    def rank(path: Path) -> tuple[bool, str]:
        issued = _at(_payload(_object(path) or {}), "predicate", "issued")
        return f"sha256:{path.stem}" in live, str(issued)

    found: dict[str, dict[str, str]] = {}
    for path in sorted((store / "certificates").glob("*.json"), key=rank):
        predicate = _at(_payload(_object(path) or {}), "predicate")
        plan_hash = _at(predicate, "planHash")
        if isinstance(plan_hash, str):
            found[plan_hash] = dict(_in_force(_at(predicate, "waivers"), now))
    return {plan_hash: waivers for plan_hash, waivers in found.items() if waivers}


def _in_force(waivers: Any, now: datetime) -> Iterator[tuple[str, str]]:
    for waiver in waivers if isinstance(waivers, list) else ():
        case, expires = _at(waiver, "case"), _at(waiver, "expires")
        # Days of the form 2027-01-31 are in the order of their letters.
        if isinstance(case, str) and isinstance(expires, str) and f"{now:%Y-%m-%d}" <= expires:
            yield case, expires


def _object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _payload(envelope: Mapping[str, Any]) -> Any:
    try:
        return json.loads(base64.b64decode(envelope.get("payload", ""), validate=True))
    except (TypeError, ValueError, RecursionError, binascii.Error):
        return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _time(text: Any) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        return None
