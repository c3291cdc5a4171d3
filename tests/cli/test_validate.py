"""What `validate` refuses before anything else, and what it says to type next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stackwright.cli import main
from stackwright.cli.validate import _next
from stackwright.errors import ExitCode
from stackwright.inputs.labels import parse

SITE = Path(__file__).parents[2]
LABEL = "pytorch/2.13.0-cpu@local"
OTHER = "pytorch/2.13.0-cpu passes {}; a release on local needs 'core'"
LOOKED = "this was a part of the suite, for looking only: no certificate comes of it"
SEE = f"see what happened: stackwright report '{LABEL}'   (raw: run)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--suite", "smok"), "no suite 'smok' (did you mean 'smoke'?)"),
        (
            ("--suite", "certify", "--case", "hepcn"),
            "certify.yaml: suite 'certify' has no case 'hepcn' (did you mean 'hepcnn'?)",
        ),
        (("--case", "collectives-gloo.torchrun-3"), "did you mean 'collectives-gloo.torchrun-"),
        (("--case", "imports", "--resume", "."), "--resume continues a run as it is"),
    ],
)
def test_a_misspelt_suite_or_case_is_told_before_a_label_that_is_not_built(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"

    code = main(["--site", str(SITE), "--store", str(store), "validate", LABEL, *words])

    assert code == ExitCode.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("suite", "verdict", "said"),
    [
        ("core", "PASS", [f"next: stackwright certify '{LABEL}'"]),
        ("core", "FAIL", [SEE]),
        (
            "smoke",
            "PASS",
            [OTHER.format("suite 'smoke'"), f"next: stackwright validate '{LABEL}'"],
        ),
        (
            "part of core",
            "PASS",
            [
                LOOKED,
                OTHER.format("a part of suite 'core'"),
                f"next: stackwright validate '{LABEL}'",
            ],
        ),
        ("part of core", "FAIL", [LOOKED, SEE]),
    ],
)
def test_what_follows_from_a_verdict(suite: str, verdict: str, said: list[str]) -> None:
    judgement = SimpleNamespace(verdict=verdict, suite=SimpleNamespace(name=suite))

    told = _next(cast("Any", judgement), parse(LABEL), "core", Path("run"))

    assert told.splitlines() == said
