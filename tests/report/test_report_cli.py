"""The command, with data that no store holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_fixtures as fixtures

from stackwright.cli import main


def test_scripts_get_the_verdict_and_the_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("job.json", "results.jsonl", "judgement.json"):
        (tmp_path / name).touch()
    monkeypatch.setattr("stackwright.report.gather.gather", lambda *_: fixtures.fail_slow())
    site = ["--site", str(Path(__file__).parents[2]), "--store", str(tmp_path / "store")]
    out = tmp_path / "public"

    code = main([*site, "report", fixtures.LABEL, "--run", str(tmp_path), "-o", str(out), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {
        "label": fixtures.LABEL,
        "verdict": "FAIL",
        "html": str(out / "report.html"),
        "json": str(out / "report.json"),
        "junit": str(out / "junit.xml"),
    }
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "junit.xml"}
