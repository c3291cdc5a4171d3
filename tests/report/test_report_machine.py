"""report.json and junit.xml."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import report_fixtures as fixtures

from stackwright.report import ReportData, render_json, render_junit

# The elements and attributes of Jenkins' junit-10.xsd; GitLab reads a subset of these.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": REQUIRED["testsuite"] | {"time", "skipped", "timestamp", "hostname", "id"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
}


def junit(data: ReportData) -> ET.Element:
    return ET.fromstring(render_junit(data))


def outcomes(root: ET.Element) -> dict[str, str]:
    """`class / name` of each test that did not simply pass, with its element's name."""
    return {
        f"{test.get('classname')} / {test.get('name')}": test[0].tag
        for test in root.iter("testcase")
        if len(test)
    }


@pytest.mark.parametrize("name", fixtures.ALL)
def test_junit_has_the_structure_that_readers_expect(name: str) -> None:
    for element in junit(fixtures.ALL[name]()).iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert set(element.keys()) <= ALLOWED.get(element.tag, set())
        assert set(element.keys()) >= REQUIRED.get(element.tag, set())


def test_json_says_whether_it_is_released() -> None:
    data = fixtures.pass_compared()

    assert json.loads(render_json(data))["released"] is None
    released = json.loads(render_json(replace(data, released="generation 3")))
    assert released["released"] == "generation 3"


@pytest.mark.parametrize("name", fixtures.ALL)
def test_junit_counts_what_it_holds(name: str) -> None:
    suite = junit(fixtures.ALL[name]())[0]

    for attribute, path in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{path}"))
    assert int(suite.get("tests", "")) == len(suite.findall("testcase"))


def test_junit_of_a_pass_is_green() -> None:
    assert outcomes(junit(fixtures.pass_compared())) == {}


def test_junit_of_a_fail_blames_the_case_and_the_metric() -> None:
    assert outcomes(junit(fixtures.fail_slow())) == {
        "suite / verdict": "failure",
        "gradients.torchrun-2.image / case": "failure",
        "gradients.torchrun-2.image / check mean_gradient_float64": "failure",
        "compute.none-1.image / case": "failure",
        "compute.none-1.image / metric conv3d_fp32": "failure",
    }


def test_junit_of_a_hang_is_an_error_with_the_stacks() -> None:
    root = junit(fixtures.hung())

    assert outcomes(root)["gradients.torchrun-2.image / case"] == "error"
    evidence = root.findtext(".//testcase[@classname='gradients.torchrun-2.image']/system-out")
    assert "line 3012 in all_reduce" in str(evidence)


def test_junit_of_a_refused_certificate_is_not_green() -> None:
    data = fixtures.certified(fixtures.pass_compared(), verified=False, message="expired")

    assert outcomes(junit(data)) == {"suite / verdict": "error"}


def test_junit_skips_what_is_waived_and_says_why() -> None:
    cases = fixtures.judged_cases(None)
    cases[0] |= {"verdict": "WAIVED", "reasons": ["waived: known upstream bug"]}
    cases[0]["checks"][0]["ok"] = False
    root = junit(fixtures.report(cases, compared=False, verdict="WAIVED"))

    assert set(outcomes(root).values()) == {"skipped"}
    assert root.find(".//skipped[@message='WAIVED: waived: known upstream bug']") is not None


def test_junit_survives_hostile_logs() -> None:
    data = fixtures.hung()
    path = "logs/gradients.torchrun-2.image/0-candidate/output.log"

    root = junit(replace(data, logs={**data.logs, path: "]]></system-out>\x00\x1b[31m & \udcff"}))

    texts = [element.text or "" for element in root.iter("system-out")]
    assert any("]]></system-out>\ufffd & \ufffd" in text for text in texts)


@pytest.mark.parametrize("name", fixtures.ALL)
def test_json_says_what_the_page_says(name: str) -> None:
    data = fixtures.ALL[name]()

    document = json.loads(render_json(data))

    assert document["schema"] == "stackwright/report/1"
    assert document["headline"].startswith(data.judgement["verdict"])
    assert document["judgement"] == json.loads(json.dumps(data.judgement))
    assert (document["changes"] is None) == (data.previous is None)
    assert sum(document["tally"].values()) == len(data.judgement["cases"])


def test_json_lists_changes_with_their_kind() -> None:
    document = json.loads(render_json(fixtures.pass_compared()))

    assert {
        "kind": "removed",
        "name": "tensorboard",
        "before": "2.20.0",
        "after": None,
    } in document["changes"]["packages"]


def test_json_says_what_is_asked_no_more() -> None:
    document = json.loads(render_json(fixtures.asked_less()))

    assert document["changes"]["coverage"] == (
        "suite: certify -> smoke, 2 cases gone: allreduce.mpirun-2.image, compute.none-1.image"
    )
    assert {
        "kind": "removed",
        "name": "compute.none-1.image",
        "before": "asked",
        "after": None,
    } in document["changes"]["suite"]
    assert (
        "Not all was asked that was asked of the released stack: suite: certify"
        in document["comparison"]
    )


def test_json_lists_the_checks_of_cases_that_are_gone_too() -> None:
    data = fixtures.pass_compared()
    job = {**data.job, "cases": data.job["cases"][1:]}
    judgement = {**data.judgement, "cases": data.judgement["cases"][1:]}

    document = json.loads(render_json(replace(data, job=job, judgement=judgement)))

    assert [(check["kind"], check["name"]) for check in document["changes"]["checks"]] == [
        ("changed", "gradients.torchrun-2.image / mean_gradient_float64"),
        ("removed", "imports.none-1.image / one_openmp_runtime"),
        ("removed", "imports.none-1.image / versions"),
    ]


def test_equal_data_gives_equal_bytes() -> None:
    assert render_json(fixtures.hung()) == render_json(fixtures.hung())
    assert render_junit(fixtures.hung()) == render_junit(fixtures.hung())
