"""Every way in which Horovod averages passes on a healthy stack.

That it fails on a faulty one is shown by tests/mutants.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import HOROVOD_PYTHON, VALIDATION, needs_horovod, run_case

from stackwright.validation.suites import ConcreteCase, expand, load_suite

pytestmark = [needs_horovod, pytest.mark.slow]
IN_SHORT = "horovod-torch.mpirun-2.image"
"""The one that `make test` runs; the others are more of its kind, and take half a minute each."""


def cases() -> list[ConcreteCase]:
    suite = load_suite(VALIDATION / "suites/horovod.yaml")
    every = expand(suite, {"VERSIONS": ""})
    return [c for c in every if c.script.startswith("horovod") and c.channel == "image"]


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.long] * (c.id != IN_SHORT), id=c.id) for c in cases()],
)
def test_case_reports_what_its_suite_names(case: ConcreteCase, tmp_path: Path) -> None:
    run = run_case(
        case.launch.launcher,
        case.script,
        *case.args,
        out=tmp_path / "out",
        ranks=case.launch.ranks,
        python=HOROVOD_PYTHON,
    )

    assert run.finished(), run.output
    assert len(run.ranks) == case.launch.ranks
    assert run.failed() == set(), run.details()
    assert run.checks().keys() == set(case.checks)
