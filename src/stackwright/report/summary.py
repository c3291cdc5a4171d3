"""The report for tools: what the page says, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from stackwright.report.changes import Change, changes
from stackwright.report.headline import headline, tally
from stackwright.report.model import ReportData

_LISTS = ("suite", "packages", "env", "os_packages", "by_spack", "wheels", "overlay", "fields")


def render_json(data: ReportData) -> str:
    """The text of report.json: the same bytes for equal data.

    Raises:
        ValueError: a number is not finite; JSON has no such numbers.
    """
    told, changed = headline(data), changes(data)
    document = {
        "schema": "stackwright/report/1",
        "headline": f"{told.word}: {told.sentence}",
        "released": data.released,
        "comparison": told.comparison,
        "tally": dict(tally(data.judgement)),
        "judgement": dict(data.judgement),
        "artefact": dict(data.artefact),
        "certificate": _certificate(data),
        "changes": {
            "coverage": changed.coverage,
            **{about: [_change(change) for change in getattr(changed, about)] for about in _LISTS},
            "checks": [_change(change) for change in changed.all_checks],
        }
        if changed
        else None,
        "plan": asdict(data.plan),
        "provenance": asdict(data.provenance),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _change(change: Change) -> dict[str, str | None]:
    return {"kind": change.kind, **asdict(change)}


def _certificate(data: ReportData) -> dict[str, Any] | None:
    return asdict(data.certificate) if data.certificate else None
