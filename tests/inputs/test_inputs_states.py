"""States: what a store's plain files say about a label."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from stackwright.inputs.labels import parse
from stackwright.plans.states import Built, StoreFacts, reached, read_facts, read_plan, state_of

LABEL = parse("demo/2.10-cpu@laptop")
NEW, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
BUILT = (Built(str(LABEL), OLD, "steps/prefix/1/prefix"), Built(str(LABEL), NEW, "x"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (StoreFacts(), "planned"),
        (StoreFacts(built=BUILT[:1]), "planned"),
        (StoreFacts(built=BUILT), "built"),
        (StoreFacts(built=BUILT, validated=frozenset({NEW})), "validated"),
        (StoreFacts(built=BUILT, certified=frozenset({NEW})), "certified"),
        (StoreFacts(built=BUILT, released={LABEL.module: NEW}), "released"),
        (StoreFacts(built=BUILT, released={LABEL.module: OLD}), "stale"),
        (StoreFacts(released={LABEL.module: OLD}), "stale"),
        (StoreFacts(built=BUILT, released={"demo/1.9-cpu": NEW}), "built"),
    ],
)
def test_the_furthest_stage_counts(facts: StoreFacts, expected: str) -> None:
    assert state_of(LABEL, NEW, facts, locked=False, retired=False) == expected


def test_what_the_files_say_now_goes_its_way_whatever_users_have() -> None:
    facts = StoreFacts(built=BUILT, validated=frozenset({NEW}), released={LABEL.module: OLD})

    assert state_of(LABEL, NEW, facts, locked=True, retired=False) == "stale"
    assert reached(NEW, facts, locked=True) == "validated"


def test_a_lock_and_a_retirement_are_states_of_the_site() -> None:
    assert state_of(LABEL, NEW, StoreFacts(), locked=True, retired=False) == "locked"
    facts = StoreFacts(released={LABEL.module: NEW})
    assert state_of(LABEL, NEW, facts, locked=True, retired=True) == "retired"


def test_a_pointer_to_another_systems_artefact_is_not_this_labels() -> None:
    other = Built("demo/2.10-cpu@other", OLD, "x")
    facts = StoreFacts(built=(other,), released={LABEL.module: OLD})

    assert state_of(LABEL, NEW, facts, locked=False, retired=False) == "planned"


def put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def certificate(plan: str, expires: str, **more: Any) -> dict[str, Any]:
    statement = {"predicate": {"planHash": plan, "expires": expires, **more}}
    return {"payload": base64.b64encode(json.dumps(statement).encode()).decode()}


def test_facts_are_read_from_the_files_of_the_formats(tmp_path: Path) -> None:
    record = {"label": str(LABEL), "plan_hash": NEW, "prefix": {"path": "steps/prefix/1/prefix"}}
    put(tmp_path / "artefacts" / "a.json", record)
    put(tmp_path / "steps/prefix/1/prefix/share/stackwright/plan.json", {"stack": "demo"})
    arms = {"candidate": {"plan_hash": NEW}, "baseline": None}
    put(tmp_path / "runs" / "1" / "judgement.json", {"verdict": "PASS", "arms": arms})
    put(tmp_path / "certificates" / "1.json", certificate(NEW, "2026-12-01T00:00:00Z"))
    put(
        tmp_path / "generations" / "1" / "release.json",
        {"pointers": {LABEL.module: {"plan_hash": NEW}}},
    )
    (tmp_path / "live").symlink_to("generations/1")

    facts = read_facts(tmp_path, NOW)

    built = Built(str(LABEL), NEW, "steps/prefix/1/prefix")
    expected = StoreFacts((built,), frozenset({NEW}), frozenset({NEW}), {LABEL.module: NEW})
    assert facts == expected
    assert facts.waived == {}
    assert read_plan(tmp_path, built) == {"stack": "demo"}


def waived(*cases: str, until: str = "2026-11-20") -> list[dict[str, str]]:
    return [{"case": case, "reason": "known", "expires": until} for case in cases]


def test_waivers_are_those_of_the_newest_certificate_that_count_today(tmp_path: Path) -> None:
    expires = "2026-12-01T00:00:00Z"
    old = certificate(NEW, expires, issued="2026-11-01T00:00:00Z", waivers=waived("a"))
    new = certificate(
        NEW,
        expires,
        issued="2026-11-02T00:00:00Z",
        waivers=[*waived("b"), *waived("c", until="2026-11-19")],
    )
    put(tmp_path / "certificates" / "1.json", new)
    put(tmp_path / "certificates" / "2.json", old)

    assert read_facts(tmp_path, NOW).waivers(LABEL, NEW) == {"b": "2026-11-20"}
    assert read_facts(tmp_path, NOW).waivers(LABEL, OLD) == {}


def test_the_waivers_of_what_users_have_come_first(tmp_path: Path) -> None:
    expires = "2026-12-01T00:00:00Z"
    released = certificate(OLD, expires, issued="2026-11-01T00:00:00Z", waivers=waived("a"))
    later = certificate(OLD, expires, issued="2026-11-02T00:00:00Z", waivers=[])
    put(tmp_path / "certificates" / f"{'1' * 64}.json", released)
    put(tmp_path / "certificates" / f"{'2' * 64}.json", later)
    pointer = {"plan_hash": OLD, "certificate": f"sha256:{'1' * 64}"}
    put(tmp_path / "live" / "release.json", {"pointers": {LABEL.module: pointer}})

    assert read_facts(tmp_path, NOW).waivers(LABEL, NEW) == {"a": "2026-11-20"}


def test_a_failed_judgement_and_an_expired_certificate_prove_nothing(tmp_path: Path) -> None:
    arms = {"candidate": {"plan_hash": NEW}}
    put(tmp_path / "runs" / "1" / "judgement.json", {"verdict": "FAIL", "arms": arms})
    put(tmp_path / "certificates" / "1.json", certificate(NEW, "2026-11-19T00:00:00Z"))

    assert read_facts(tmp_path, NOW) == StoreFacts()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"label": 1}', '{"payload": "!"}', "null"])
def test_damaged_records_and_a_missing_store_say_nothing(tmp_path: Path, text: str) -> None:
    for name in ("artefacts/a.json", "runs/1/judgement.json", "certificates/1.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "release.json").write_text(text)

    assert read_facts(tmp_path, NOW) == StoreFacts()
    assert read_facts(tmp_path / "absent", NOW) == StoreFacts()


def test_a_part_of_a_suite_validates_nothing(tmp_path: Path) -> None:
    judgement = {"verdict": "PASS", "arms": {"candidate": {"plan_hash": NEW}}}
    put(tmp_path / "runs/1/judgement.json", {**judgement, "suite": {"name": "part of core"}})
    assert read_facts(tmp_path, NOW).validated == frozenset()

    put(tmp_path / "runs/2/judgement.json", {**judgement, "suite": {"name": "core"}})
    assert read_facts(tmp_path, NOW).validated == {NEW}
