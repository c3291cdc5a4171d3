"""The report for people: one HTML file that needs no network and, but for comforts, no script."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stackwright.report.cases import cases
from stackwright.report.changes import changes
from stackwright.report.figures import Estimate, overview
from stackwright.report.headline import headline, tally
from stackwright.report.metrics import estimates, unjudged
from stackwright.report.model import ReportData
from stackwright.report.numbers import figure, seconds, threshold
from stackwright.report.text import moment, printable, short
from stackwright.report.verdicts import verdict


def render_html(data: ReportData) -> str:
    """The text of report.html.

    Logs and details come from the stack under test, so nothing of them is trusted: all text is
    escaped, and the page's own policy lets no script run but the one it came with.

    Raises:
        StackwrightError: the judgement has an unknown verdict.
    """
    environment = _environment()
    style, script = _source(environment, "report.css"), _source(environment, "report.js")
    relative, absolute = (list(estimates(data, kind)) for kind in ("relative", "absolute"))
    return environment.get_template("report.html.j2").render(
        data=data,
        judged=data.judgement,
        told=headline(data),
        tally=tally(data.judgement),
        changes=changes(data),
        cases=cases(data),
        unjudged=unjudged(data),
        relative=relative,
        absolute=absolute,
        against_released=_against_released(relative),
        against_hardware=_against_hardware(absolute),
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stackwright.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        figure=figure,
        threshold=threshold,
        seconds=seconds,
        moment=moment,
        short=short,
        verdict=verdict,
    )
    return environment


def _finalize(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(environment: Environment, name: str) -> Markup:
    """A file of the template folder, to be put into the page as it is."""
    assert environment.loader is not None  # noqa: S101 - set in _environment
    text, _, _ = environment.loader.get_source(environment, name)
    return Markup(text)  # noqa: S704 - our own file


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy under which only our own style and script take effect."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)};"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _against_released(rows: list[Estimate]) -> Markup | None:
    if not rows:
        return None
    axis = "candidate / released; right of 1 is better"
    return overview("Performance against the released stack", axis, "theta", rows, at=1.0)


def _against_hardware(rows: list[Estimate]) -> Markup | None:
    if not rows:
        return None
    axis = "fraction of the roofline; 1 is the ceiling"
    return overview("Performance against the hardware", axis, "floor", rows, at=1.0)
