"""Every case on the real stack passes on a healthy one.

That it fails on a faulty one is shown by tests/mutants, through the driver and the gate.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from payload_runs import (
    STACK_PYTHON,
    SUITES,
    VALIDATION,
    needs_stack,
    run_broken,
    run_case,
    run_python,
    versions_of,
)

from stackwright.threads import THREADS
from stackwright.validation.suites import ConcreteCase, expand, load_suite

pytestmark = needs_stack

# Need minutes, and have tests of their own: test_science.py.
SLOW_SCRIPTS = {
    *("climate_deeplab", "climate_tiramisu", "cosmoflow", "cosmogan", "etalumis", "hepcnn"),
    *("icecube_gnn", "pigan", "tracking_gnn", "coherent_structures", "ffn"),
    "cosmoflow_tensorflow",
}
# A minute, for what the others of their kind show as well: make test-long. So are other numbers of
# ranks, and other launchers, of a case.
LONG = {"train-throughput-nersc", "train-throughput-science", "resnet50"} | {
    "collectives-largest-gloo",
    "collectives-largest-mpi",
}


@cache
def concrete_cases(suite: str = "certify") -> list[ConcreteCase]:
    cases = expand(load_suite(VALIDATION / f"suites/{suite}.yaml"), {"VERSIONS": "@OUT@"})
    return [case for case in cases if case.channel == "image"]


def shown_already(case: ConcreteCase, suite: str) -> bool:
    """Whether a test of `make test` shows what this case's would: PyTorch's, first of its name."""
    name = case.id.partition(".")[0]
    first = next(c for c in concrete_cases(suite) if c.id.partition(".")[0] == name)
    return SUITES[suite] != "torch" or name in LONG or case != first


@pytest.fixture(scope="module")
def versions() -> str:
    return versions_of(Path(str(STACK_PYTHON)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "case"),
    [
        pytest.param(
            suite,
            c,
            id=f"{suite}:{c.id}",
            marks=[pytest.mark.long] * shown_already(c, suite),
        )
        for suite in SUITES
        for c in concrete_cases(suite)
        if c.script not in SLOW_SCRIPTS
    ],
)
def test_case_reports_what_its_suite_names(
    suite: str, case: ConcreteCase, tmp_path: Path, roofline: Path
) -> None:
    versions = versions_of(Path(str(STACK_PYTHON)), suite)
    threads = str(case.launch.threads)
    run = run_case(
        case.launch.launcher,
        case.script,
        *(arg.replace("@OUT@", versions) for arg in case.args),
        out=tmp_path / "out",
        env={
            **dict.fromkeys(THREADS, threads),
            "STACKWRIGHT_ROOFLINE": str(roofline),
        },
        ranks=case.launch.ranks,
    )

    assert run.finished(), run.output
    assert len(run.ranks) == case.launch.ranks
    assert {line["world"] for rank in run.ranks for line in rank[:1]} == {case.launch.ranks}
    # A bare environment has no manifest, so there identity must fail; nothing else may.
    assert run.failed() == ({"tree_hash"} if case.script == "identity" else set())
    assert set(run.checks()) == set(case.checks)
    assert {n: m["unit"] for n, m in run.values("metric").items()} == {
        m.name: m.unit for m in case.metrics
    }
    assert set(run.values("probe")) == {m.roofline for m in case.metrics}


def test_the_training_step_of_every_science_model_is_timed() -> None:
    (case,) = (c for c in concrete_cases() if c.id == "train-throughput-science.none-1.image")
    models = {file.stem for file in (VALIDATION / "cases").glob("*.toml")} | {"resnet50"}

    assert {metric.name for metric in case.metrics} == {f"{model}_train" for model in models}


# --- faults: the others are in tests/mutants/catalogue.yaml ---------------------------


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("torch=0.4.1", ", locked 0.4.1"),
        ("not-installed=1.0", "not-installed is missing, locked 1.0"),
        ("", "no versions were asked"),
    ],
)
def test_wrong_version_shows(expected: str, told: str, tmp_path: Path) -> None:
    run = run_case("none", "imports", "--expect", expected, out=tmp_path / "out")

    assert run.failed() == {"versions"}
    assert run.details()[0].endswith(told)


def test_right_versions_are_counted(versions: str, tmp_path: Path) -> None:
    run = run_case("none", "imports", "--expect", versions, out=tmp_path / "out")

    assert run.failed() == set()
    assert run.details()[0] == "all 1 as locked"


@pytest.mark.parametrize("script", ["imports", "resume"])
def test_details_are_words_not_python_values(script: str, versions: str, tmp_path: Path) -> None:
    arguments = ("--expect" if script == "imports" else "--stack", versions)

    run = run_case("none", script, *arguments, out=tmp_path / "out")

    assert run.details()
    assert [detail for detail in run.details() if {*"[]{}'"} & {*detail}] == []


NOT_A_NUMBER = """
import math
import arithmetic, branches, gradients, parity
import numpy as np

rng = np.random.default_rng(1)
wanted = {name: rng.normal(size=shape) for name, shape in branches.SHAPES.items()}
for error in (gradients.relative_error, parity.deviation):
    assert error(wanted, wanted) == 0
    for name in wanted:
        wrong = {each: array.copy() for each, array in wanted.items()}
        wrong[name].flat[-1] = np.nan
        assert not error(wrong, wanted) <= math.inf, (error, name)
for place in range(3):
    found = np.ones(3)
    found[place] = np.nan
    assert not arithmetic.deviation(found, np.ones(3)) <= math.inf, place
"""


def test_what_is_not_a_number_is_within_no_limit(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", NOT_A_NUMBER], tmp_path / "out")

    assert run.exit == 0, run.output


def test_gemm_in_low_precision_shows(tmp_path: Path, roofline: Path) -> None:
    env = {"STACKWRIGHT_ROOFLINE": str(roofline)}

    run = run_case(
        *("none", "compute", "--threads", "1"),
        out=tmp_path / "out",
        env=env,
        fault="low_precision_gemm",
    )

    assert run.failed() == {"results_verified"}


WRONG_ONCE = """
import torch
whole, calls = torch.mm, []
def mm(*args, **kwargs):
    result = whole(*args, **kwargs)
    calls.append(1)
    if len(calls) == 3:
        result[0, 0] = float("nan")
    return result
torch.mm = mm
"""


def test_one_wrong_result_among_those_that_are_timed_shows(tmp_path: Path, roofline: Path) -> None:
    run = run_broken(
        *(WRONG_ONCE, "none", "compute", "--threads", "1"), folder=tmp_path, roofline=roofline
    )

    assert run.finished(), run.output
    assert run.failed() == {"results_verified"}


CONVOLUTIONS_IN_BFLOAT16 = """
import torch
whole = torch.nn.Conv2d._conv_forward
def forward(self, images, weight, bias):
    return whole(self, images.bfloat16(), weight.bfloat16(), bias).to(images.dtype)
torch.nn.Conv2d._conv_forward = forward
"""
LOSS_SCALED = """
import torch
whole = torch.nn.functional.cross_entropy
torch.nn.functional.cross_entropy = lambda *args: 1.000001 * whole(*args)
"""


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (
            CONVOLUTIONS_IN_BFLOAT16,
            {"forward_float64", "backward_float64", "forward_float32", "backward_float32"},
        ),
        (LOSS_SCALED, {"backward_float64"}),
    ],
)
def test_other_resnet_than_the_stock_builds_shows(
    fault: str, failed: set[str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(fault)
    env = {"PYTHONPATH": str(tmp_path)}
    run = run_case("none", "resnet50", out=tmp_path / "out", env=env)

    assert run.finished(), run.output
    assert run.failed() == failed


def test_missing_probe_binary_says_how_to_build_it(tmp_path: Path) -> None:
    run = run_case("none", "compute", "--threads", "1", out=tmp_path / "out")

    assert not run.finished()
    assert "STACKWRIGHT_ROOFLINE is not set: build it with 'cc" in run.output
