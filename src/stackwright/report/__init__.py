"""The validation report: one page for a reviewer, JSON for tools, JUnit for pipelines."""

from stackwright.report.html import render_html
from stackwright.report.junit import render_junit
from stackwright.report.model import (
    Certificate,
    JsonObject,
    Plan,
    Previous,
    Provenance,
    ReportData,
)
from stackwright.report.summary import render_json

__all__ = [
    "Certificate",
    "JsonObject",
    "Plan",
    "Previous",
    "Provenance",
    "ReportData",
    "render_html",
    "render_json",
    "render_junit",
]
