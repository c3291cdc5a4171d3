"""What site and store say against a certificate that was right when it was signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import CASES, NOW, artefact, asked_case, job

from stackwright.certify.acceptance import Waiver
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import timestamp
from stackwright.disputes import check_undisputed, earlier_runs
from stackwright.errors import StackwrightError
from stackwright.inputs.fields import PART
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.stages import (
    certify,
    check_age,
    check_asked,
    check_image_ran,
    check_still_waived,
    latest_run,
    newest_certificate,
)
from stackwright.store import Store
from stackwright.validation.host import fingerprint
from stackwright.validation.prepare import _asked
from stackwright.validation.session import check_clock
from stackwright.validation.suites import FOR_LOOKING, Choice
from stackwright.workshop import Workshop


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
        judge(folder, verdict)
    return folder


def judge(folder: Path, verdict: str, failed: str = CASES[0]) -> None:
    """All of its cases passed but one."""
    cases = [{"id": name, "verdict": verdict if name == failed else "PASS"} for name in CASES]
    told = {"verdict": verdict, "reasons": [], "cases": cases}
    (folder / "judgement.json").write_text(json.dumps(told))


def check(store: Store, evidence: Path, earlier: Mapping[str, str] | None = None) -> None:
    """A certificate from a run, in which one case was waived."""
    asked = json.loads((evidence / "job.json").read_bytes())
    check_undisputed(store, asked, earlier or {}, {CASES[1]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "INVALID", "UNAVAILABLE"])
def test_a_later_validation_of_the_same_bytes_disputes_a_certificate(
    store: Store, verdict: str
) -> None:
    evidence = run(store, 8, "PASS")
    run(store, 9, "PASS")
    elsewhere = [asked_case(name, run="/store/runs/2") for name in CASES]
    later = run(store, 10, verdict, cases=elsewhere)
    said = f"{later.name}, a later .* is {verdict}: {CASES[0]}"
    with pytest.raises(StackwrightError, match=said) as caught:
        check(store, evidence)
    assert f"--run {later}" in str(caught.value.hint)


OTHER_SUITE = {"name": "smoke", "digest": "sha256:other"}


def test_what_was_measured_of_something_else_disputes_nothing(store: Store) -> None:
    other = json.loads(job(artefact("pytorch/2.12.0-cpu@local")))
    unlike = [asked_case(name, "--otherwise") for name in CASES]
    evidence = run(store, 8, "PASS")
    run(store, 9, None)
    run(store, 10, "FAIL", arms=other["arms"])
    run(store, 11, "FAIL", payload="sha256:other")
    run(store, 12, "FAIL", suite=OTHER_SUITE, cases=unlike)
    run(store, 13, "FAIL", suite=OTHER_SUITE, cases=[asked_case("another")])
    check(store, evidence)


def test_the_same_case_of_another_suite_disputes_a_certificate(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    run(store, 9, "FAIL", suite=OTHER_SUITE, cases=[asked_case(CASES[0])])
    with pytest.raises(StackwrightError, match=f"is FAIL: {CASES[0]}"):
        check(store, evidence)


def test_a_certificate_needs_a_case_that_ran_in_the_image(tmp_path: Path) -> None:
    asked = {"suite": {"name": "smoke"}, "runtime": None}
    with pytest.raises(StackwrightError, match=r"no case of .* ran in the image"):
        check_image_ran(asked, tmp_path)
    check_image_ran({**asked, "runtime": "podman"}, tmp_path)


def test_a_case_that_was_waived_disputes_nothing_by_failing_again(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    judge(run(store, 9, None), "INCONCLUSIVE", failed=CASES[1])
    check(store, evidence)


@pytest.mark.parametrize(
    ("told", "disputed"), [("FAIL", False), ("UNFINISHED", True), ("PASS", True), (None, True)]
)
def test_an_older_run_disputes_what_the_certificate_tells_otherwise(
    store: Store, told: str | None, disputed: bool
) -> None:
    older = run(store, 7, "FAIL")
    evidence = run(store, 8, "PASS")
    earlier = {older.name: told} if told else {}
    if not disputed:
        check(store, evidence, earlier)
        return
    with pytest.raises(StackwrightError, match=f"{older.name}, an older validation"):
        check(store, evidence, earlier)


def test_a_defect_of_a_whole_run_disputes_though_each_of_its_cases_passed(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    later = run(store, 9, "PASS")
    told = json.loads((later / "judgement.json").read_bytes())
    told = {**told, "verdict": "INVALID", "reasons": ["results.jsonl: a line is cut"]}
    (later / "judgement.json").write_text(json.dumps(told))
    with pytest.raises(StackwrightError, match=f"is INVALID: {CASES[0]}"):
        check(store, evidence)


def test_a_later_run_disputes_even_if_it_was_known(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    later = run(store, 9, "FAIL")
    with pytest.raises(StackwrightError, match="a later validation"):
        check(store, evidence, {later.name: "FAIL"})


def test_what_is_compared_with_something_else_disputes_all_the_same(store: Store) -> None:
    evidence = run(store, 8, "PASS")
    arms = json.loads(job(artefact()))["arms"]
    run(store, 9, "FAIL", arms={**arms, "baseline": arms["candidate"]})
    with pytest.raises(StackwrightError, match="a later validation"):
        check(store, evidence)


def test_a_certificate_from_a_run_that_was_waived_is_not_disputed_by_it(store: Store) -> None:
    check(store, run(store, 8, "FAIL"))


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


def shop_of(store: Store) -> Workshop:
    shop = Workshop(Site(Path("none")), parse(artefact().label), store)
    # there is no site to resolve it from
    shop.__dict__.update(plan_hash=artefact().plan_hash, suite="certify")
    return shop


def judged(store: Store, hour: int, suite: str = "certify") -> Path:
    folder = run(store, hour, None, suite={"name": suite, "digest": "sha256:of"})
    arms = json.loads(job(artefact()))["arms"]
    told = {"verdict": "PASS", "arms": arms, "suite": {"name": suite}}
    (folder / "judgement.json").write_text(json.dumps(told))
    return folder


def test_a_run_dated_in_the_future_is_not_the_last_one(store: Store) -> None:
    judged(store, 8)
    last = judged(store, 9)
    ahead = judged(store, 22)
    assert latest_run(shop_of(store), by=NOW) == last
    assert latest_run(shop_of(store), by=NOW + timedelta(hours=4)) == ahead


def test_a_part_of_a_suite_is_never_certified(store: Store) -> None:
    """Whether it is asked for by the suite's name or by the part's own."""
    site = Site(Path(__file__).parents[2])
    label = parse("pytorch/2.13.0-cpu@local")
    shop = Workshop(site, label, store)
    shop.__dict__.update(plan_hash=artefact().plan_hash)
    judged(store, 8, f"{PART}core")
    asked = {"key": Path("none"), "issued": NOW, "expires": NOW + timedelta(days=1)}

    with pytest.raises(StackwrightError, match=f"was not validated by suite 'core'.*{FOR_LOOKING}"):
        certify(shop, "core", **asked)
    with pytest.raises(StackwrightError, match=f"no suite '{PART}core'"):
        certify(shop, f"{PART}core", **asked)


def test_a_part_of_a_suite_under_the_name_of_all_of_it_lacks_cases(store: Store) -> None:
    label = parse("pytorch/2.13.0-cpu@local")
    shop = Workshop(Site(Path(__file__).parents[2]), label, store)
    part = Choice(shop.site.suite_file("core"), ("imports",))
    few = [{**_asked(case), "argv": {}} for case in part.cases({"VERSIONS": ""})]
    host = {**fingerprint(), "cores": 2}

    with pytest.raises(StackwrightError, match=r"suite 'core' asks: it lacks the case \w+"):
        check_asked(shop, "core", {"job_id": "1", "host": host, "cases": few})


def test_what_passed_needs_no_second_validation_but_a_signature(store: Store) -> None:
    nothing = TrustedKeys((), ())
    shop = shop_of(store)
    again = f"stackwright validate '{shop.label}', then stackwright certify '{shop.label}'"
    with pytest.raises(StackwrightError, match="has no certificate") as untried:
        newest_certificate(shop, nothing)
    judged(store, 8)
    with pytest.raises(StackwrightError, match="has no certificate") as passed:
        newest_certificate(shop, nothing)
    run(store, 9, None)
    with pytest.raises(StackwrightError, match="has no certificate") as interrupted:
        newest_certificate(shop, nothing)

    assert [str(caught.value.hint) for caught in (untried, passed, interrupted)] == [
        again,
        f"stackwright certify '{shop.label}'",
        again,
    ]


def test_a_run_whose_name_is_ahead_of_its_date_is_not_the_last_one(store: Store) -> None:
    judged(store, 9)
    folder = judged(store, 10)
    asked = json.loads((folder / "job.json").read_bytes())
    (folder / "job.json").write_text(json.dumps({**asked, "created": "2026-11-20T08:00:00Z"}))
    assert latest_run(shop_of(store), by=NOW).name.startswith("20261120T09")


def test_only_what_was_measured_lately_is_certified() -> None:
    asked = {"job_id": "20261120T200000Z-1f2e3d4c", "label": "mini/1.0-cpu@local"}
    asked["created"] = timestamp(NOW)
    check_age(asked, NOW)
    check_age(asked, NOW + timedelta(days=30))
    with pytest.raises(StackwrightError, match="more than 30 days ago"):
        check_age(asked, NOW + timedelta(days=30, seconds=1))


def test_what_was_measured_in_the_future_is_not_certified() -> None:
    asked = {"job_id": "20261120T200000Z-1f2e3d4c", "label": "mini/1.0-cpu@local"}
    asked["created"] = timestamp(NOW)
    with pytest.raises(StackwrightError, match="19:59:59Z now, before that: a clock is or was"):
        check_age(asked, NOW - timedelta(seconds=1))


def test_no_run_is_begun_before_one_that_is_there(store: Store) -> None:
    check_clock(store, "2026-11-20T08:00:00Z")
    newest = run(store, 9, None)
    run(store, 8, None)
    check_clock(store, "2026-11-20T09:00:00Z")
    with pytest.raises(StackwrightError, match=f"{newest.name} was begun at 2026-11-20T09"):
        check_clock(store, "2026-11-20T08:59:59Z")


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
