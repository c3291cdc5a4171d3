"""What site and store say against a certificate that was right when it was signed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import CASES, artefact, job

from stackwright.certify.acceptance import Waiver
from stackwright.errors import StackwrightError
from stackwright.stages import check_still_waived, check_undisputed, earlier_runs
from stackwright.store import Store


def run(store: Store, hour: int, verdict: str | None, **changes: Any) -> Path:
    """A run of the sample's bytes that was begun at an hour of one day."""
    name = f"20261120T{hour:02}0000Z-1f2e3d4c"
    asked = {
        **json.loads(job(artefact())),
        "job_id": name,
        "created": f"2026-11-20T{hour:02}:00:00Z",
        **changes,
    }
    folder = store.root / "runs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(asked))
    if verdict:
        (folder / "judgement.json").write_text(json.dumps({"verdict": verdict}))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "INVALID", "UNAVAILABLE"])
def test_a_later_validation_of_the_same_bytes_disputes_a_certificate(
    store: Store, verdict: str
) -> None:
    evidence = run(store, 8, "PASS")
    run(store, 9, "PASS")
    later = run(store, 10, verdict)
    with pytest.raises(StackwrightError, match=f"{later.name}, a later .* is {verdict}") as caught:
        check_undisputed(store, evidence)
    assert f"--run {later}" in str(caught.value.hint)


def test_what_was_measured_before_or_of_something_else_disputes_nothing(store: Store) -> None:
    other = json.loads(job(artefact("pytorch/2.12.0-cpu@local")))
    run(store, 7, "FAIL")
    evidence = run(store, 8, "PASS")
    run(store, 9, None)
    run(store, 10, "FAIL", arms=other["arms"])
    run(store, 11, "FAIL", payload="sha256:other")
    run(store, 12, "FAIL", suite={"name": "smoke", "digest": "sha256:other"})
    check_undisputed(store, evidence)


def test_what_is_compared_with_something_else_disputes_all_the_same(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    arms = json.loads(job(artefact()))["arms"]
    run(store, 9, "FAIL", arms={**arms, "baseline": arms["candidate"]})
    with pytest.raises(StackwrightError, match="a later validation"):
        check_undisputed(store, evidence)


def test_a_certificate_from_a_run_that_was_waived_is_not_disputed_by_it(store: Store) -> None:
    check_undisputed(store, run(store, 8, "FAIL"))


def test_every_other_validation_of_the_bytes_is_told_with_its_suite(store: Store) -> None:
    suite = json.loads(job(artefact()))["suite"]
    changed = {**suite, "digest": "sha256:other"}
    unlike = json.loads(job(artefact("pytorch/2.12.0-cpu@local")))["arms"]
    runs = [
        run(store, 7, "FAIL"),
        run(store, 8, None),
        run(store, 9, "FAIL", suite={"name": "smoke", "digest": "sha256:other"}),
        run(store, 10, "PASS", suite=changed),
        run(store, 11, "FAIL", arms=unlike),
        run(store, 12, "PASS"),
    ]
    asked = json.loads((runs[-1] / "job.json").read_bytes())
    assert earlier_runs(store, runs[-1], asked) == {
        runs[0].name: "FAIL",
        runs[1].name: "UNFINISHED",
        runs[2].name: "FAIL by suite smoke",
        runs[3].name: "PASS by suite certify, as it was then",
    }


DAY = date(2026, 11, 20)
USED = Waiver(case=CASES[1], reason="known", expires="2026-12-31")


def test_a_waiver_that_a_certificate_used_is_still_in_the_site() -> None:
    check_still_waived([USED], [USED], DAY)
    check_still_waived([], [], DAY)


@pytest.mark.parametrize(
    "site",
    [
        [],
        [USED.model_copy(update={"case": CASES[0]})],
        [USED.model_copy(update={"expires": "2026-11-19"})],
    ],
)
def test_a_waiver_that_was_taken_back_counts_no_more(site: list[Waiver]) -> None:
    with pytest.raises(StackwrightError, match="the site has none now"):
        check_still_waived([USED], site, DAY)
