from __future__ import annotations

from dataclasses import replace

import pytest
import report_fixtures as fixtures

from stackwright.errors import StackwrightError
from stackwright.report import ReportData
from stackwright.report.changes import Change, changes, compare
from stackwright.report.gather import as_certified
from stackwright.report.headline import headline


def said(data: ReportData) -> str:
    told = headline(data)
    return f"{told.word}: {told.sentence}"


def with_judgement(data: ReportData, **fields: object) -> ReportData:
    return replace(data, judgement={**data.judgement, **fields})


def test_a_certified_pass_may_be_released_and_names_the_command() -> None:
    told = headline(fixtures.pass_compared())

    assert told.sentence == "pytorch/2.13.0-cpu may be released on local"
    assert told.next_step == "stackwright release pytorch/2.13.0-cpu@local"


def test_what_users_have_already_is_not_to_be_released_again() -> None:
    told = headline(replace(fixtures.pass_compared(), released="generation 3"))

    assert told.sentence == "pytorch/2.13.0-cpu is released on local (generation 3)"
    assert told.next_step is None


def test_users_that_have_what_failed_are_told_of() -> None:
    told = headline(replace(fixtures.fail_slow(), released="generation 3"))

    assert told.sentence == (
        "2 of 5 cases failed: pytorch/2.13.0-cpu must not be released on local,"
        " but is: generation 3"
    )


def test_bytes_that_were_released_before_the_run_have_nothing_to_be_compared_with() -> None:
    first = fixtures.pass_baseline()
    again = replace(first, previous=fixtures.previous(list(first.judgement["cases"])))

    told = headline(again).comparison

    assert told.startswith("These very bytes were released already")
    assert "Less was asked" not in told


def test_a_pass_without_a_certificate_may_only_be_certified() -> None:
    told = headline(replace(fixtures.pass_compared(), certificate=None))

    assert told.sentence == "pytorch/2.13.0-cpu may be certified for release on local"
    assert told.certificate == "not certified yet"
    assert told.next_step == "stackwright certify pytorch/2.13.0-cpu@local"


def test_a_pass_with_a_bad_certificate_is_refused() -> None:
    data = fixtures.certified(
        fixtures.pass_compared(), verified=False, message="signed by an unknown key"
    )

    told = headline(data)

    assert said(data) == (
        "REFUSED: pytorch/2.13.0-cpu must not be released on local: its certificate is not valid"
    )
    assert told.tone == "bad"
    assert told.certificate == (
        "NOT verified (signed by an unknown key), signed by release-3f2a,"
        " valid until 2027-05-19 19:50 UTC"
    )


def test_a_baseline_never_speaks_of_regressions() -> None:
    told = headline(fixtures.pass_baseline())

    assert told.comparison.startswith("No comparison with an earlier release was possible")
    assert "regression" not in told.comparison


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fail-slow", "FAIL: 2 of 5 cases failed"),
        ("hung", "HUNG: 1 of 5 cases did not finish in time"),
        ("invalid", "INVALID: 1 of 5 cases gave no valid measurement"),
        ("unavailable", "UNAVAILABLE: 1 of 5 cases could not be run"),
    ],
)
def test_a_refusal_counts_the_cases_to_blame(name: str, sentence: str) -> None:
    data = fixtures.ALL[name]()

    assert said(data) == f"{sentence}: pytorch/2.13.0-cpu must not be released on local"
    assert headline(data).next_step is None


def test_evidence_that_is_not_sound_is_to_blame_when_every_case_passed() -> None:
    data = with_judgement(fixtures.pass_baseline(), verdict="INVALID", reasons=["chain broken"])

    assert said(data).startswith("INVALID: the evidence as a whole is not sound")


def test_waived_cases_are_counted_in_the_headline() -> None:
    cases = fixtures.judged_cases(None)
    cases[0]["verdict"] = "WAIVED"
    data = fixtures.certified(fixtures.report(cases, compared=False, verdict="WAIVED"))

    assert said(data) == (
        "WAIVED: pytorch/2.13.0-cpu may be released on local, 1 of 5 cases waived"
    )


def test_an_unknown_verdict_is_an_error() -> None:
    with pytest.raises(StackwrightError, match="unknown verdict 'PASSED'"):
        headline(with_judgement(fixtures.pass_baseline(), verdict="PASSED"))


def test_a_judgement_that_leaves_out_a_case_is_refused() -> None:
    data = fixtures.pass_baseline()

    with pytest.raises(StackwrightError, match=r"leaves out 'imports\.none-1\.image'"):
        with_judgement(data, cases=data.judgement["cases"][1:])


def test_a_judgement_of_another_job_is_refused() -> None:
    with pytest.raises(StackwrightError, match="is of job 'another'"):
        with_judgement(fixtures.pass_baseline(), job_id="another")


def test_differences_are_added_removed_or_changed() -> None:
    found = compare({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"})

    assert found == (Change("a", "1", None), Change("c", "3", "4"), Change("d", None, "5"))
    assert [change.kind for change in found] == ["removed", "changed", "added"]


def test_changes_name_packages_variables_and_checks() -> None:
    found = changes(fixtures.fail_slow())

    assert found is not None
    assert [c.name for c in found.packages] == [
        "h5py",
        "ipykernel",
        "numpy",
        "tensorboard",
        "torch",
    ]
    assert Change("KMP_BLOCKTIME", "1", None) in found.env
    assert found.checks == (
        Change(
            "gradients.torchrun-2.image / mean_gradient_float64",
            "holds: max relative error 1.8e-16 <= 1e-12",
            "FAILS: max relative error 0.5 > 1e-12",
        ),
    )


def test_without_an_earlier_release_nothing_changed_from_anything() -> None:
    assert changes(fixtures.pass_baseline()) is None


def test_cases_that_the_certificate_waives_are_shown_as_waived() -> None:
    judged = fixtures.fail_slow().judgement
    failed = next(case for case in judged["cases"] if case["verdict"] == "FAIL")
    waiver = {"case": failed["id"], "reason": "ticket 4711", "expires": "2027-01-31"}
    predicate = {"verdict": "WAIVED", "waivers": [waiver]}

    shown = as_certified(judged, {"predicate": predicate})

    assert shown["verdict"] == "WAIVED"
    (waived,) = (case for case in shown["cases"] if case["verdict"] == "WAIVED")
    assert waived["reasons"][0] == "FAIL, waived through 2027-01-31: ticket 4711"
    assert failed["verdict"] == "FAIL"


def test_a_pass_by_another_suite_is_no_way_to_a_release() -> None:
    data = replace(fixtures.pass_compared(), certificate=None, required_suite="certify-all")
    told = headline(data)
    suite = data.judgement["suite"]["name"]
    assert f"passes suite '{suite}'; a release on local needs 'certify-all'" in told.sentence
    assert told.next_step == f"stackwright validate {fixtures.LABEL}"


def test_interruptions_are_said_beside_the_verdict() -> None:
    data = fixtures.pass_compared()
    assert "interrupted" not in headline(data).comparison
    told = headline(replace(data, interruptions=2))
    assert told.comparison.endswith("A run was interrupted and begun again 2 times.")


def test_a_part_of_a_suite_is_said_to_be_for_looking_only() -> None:
    data = replace(fixtures.pass_compared(), certificate=None, required_suite="certify")
    told = headline(with_judgement(data, suite={"name": "part of certify", "digest": "sha256:1"}))

    assert "passes a part of suite 'certify'; a release on local needs 'certify'" in told.sentence
    assert told.comparison.endswith(
        " This was a part of the suite, for looking only: no certificate comes of it."
    )
    assert told.next_step == f"stackwright validate {fixtures.LABEL}"
