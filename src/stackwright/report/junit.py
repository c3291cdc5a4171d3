"""The report for pipelines: JUnit XML, one test for each check and metric of a case.

Follows the elements and attributes of Jenkins' junit-10.xsd, which GitLab and pytest's readers
accept as well. FAIL is a failure; a verdict that says nothing about the stack is an error; a
waived case is skipped, with its reason. The verdict of the whole is a test of its own, so that
no reader can call a refused release green.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from stackwright.report.cases import Case, cases
from stackwright.report.headline import headline
from stackwright.report.model import ReportData
from stackwright.report.text import printable
from stackwright.report.verdicts import Verdict, verdict

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_ELEMENT = {"FAIL": "failure", "INCONCLUSIVE": "failure", "WAIVED": "skipped"}


def render_junit(data: ReportData) -> str:
    """The text of junit.xml."""
    judged = data.judgement
    shown = cases(data)
    suite = ET.Element(
        "testsuite",
        name=printable(f"{judged['label']} {judged['suite']['name']}"),
        timestamp=str(data.job["created"]).removesuffix("Z"),
    )
    suite.append(_whole(data))
    for case in shown:
        suite.extend(_tests(case))
    tests = suite.findall("testcase")
    counts = {
        "tests": len(tests),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    whole_time = f"{sum(case.seconds for case in shown):.3f}"
    for key, count in counts.items():
        suite.set(key, str(count))
    suite.set("time", whole_time)
    root = ET.Element("testsuites", name="stackwright", time=whole_time)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(counts[key]))
    root.append(suite)
    ET.indent(root)
    return f"{_DECLARATION}\n{ET.tostring(root, encoding='unicode')}\n"


def _whole(data: ReportData) -> ET.Element:
    told = headline(data)
    result = verdict(data.judgement["verdict"])
    outcome = verdict("INVALID") if told.word == "REFUSED" else result
    reasons = [told.sentence, *data.judgement["reasons"]]
    return _test("suite", "verdict", outcome, reasons)


def _tests(case: Case) -> Iterator[ET.Element]:
    """A case's verdict with its evidence and time, then its checks and metrics one by one."""
    whole = _test(case.id, "case", case.verdict, case.reasons, seconds=case.seconds)
    if not case.verdict.passes and (evidence := _evidence(case)):
        ET.SubElement(whole, "system-out").text = evidence
    yield whole
    for check in case.checks:
        outcome = verdict("PASS" if check["ok"] else "FAIL")
        name = f"check {check['name']}"
        yield _test(case.id, name, _waived(outcome, case), [check["detail"]])
    for metric in case.metrics:
        name = f"metric {metric.name}"
        yield _test(case.id, name, _waived(metric.verdict, case), metric.reasons)


def _waived(outcome: Verdict, case: Case) -> Verdict:
    return case.verdict if case.verdict.word == "WAIVED" and not outcome.passes else outcome


def _evidence(case: Case) -> str:
    logs = [f"== {log.path}\n{log.text}" for log in (*case.evidence, *case.logs)]
    return "\n".join([*case.troubles, *logs])


def _test(
    case: str, name: str, outcome: Verdict, reasons: Sequence[str], seconds: float = 0.0
) -> ET.Element:
    test = ET.Element(
        "testcase", classname=printable(case), name=printable(name), time=f"{seconds:.3f}"
    )
    if outcome.word != "PASS":
        text = printable("; ".join(reasons))
        message = f"{outcome.word}: {text}" if text else outcome.word
        child = ET.SubElement(test, _ELEMENT.get(outcome.word, "error"), message=message)
        if child.tag != "skipped":
            child.set("type", outcome.word)
            child.text = text
    return test
