"""What a training prints is a log as MLPerf has it: MLCommons' own compliance checker reads it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from payload_runs import STACK_PYTHON, TORCHRUN, Run, needs_stack, run_case, run_python

pytestmark = needs_stack

needs_checker = pytest.mark.skipif(
    importlib.util.find_spec("mlperf_logging") is None,
    reason="run `make setup`: it installs setup/requirements-mlperf.txt",
)

TRAIN = """
from dataclasses import replace
import climate, trainer
from {script} import {kind}
from emit import Emitter
from science import load
from world import gloo
science, training = load({kind}, "small")
def run(seeds, **changes):
    with Emitter() as out, gloo(out):
        for seed in seeds:
            trainer.train(science, replace(training, **changes), seed, out)
"""
FEW_STEPS = (
    "run((1, 2), train_samples=4 * training.batch, test_samples=16, epochs=1, evaluations=2)"
)
# Weather that anyone can tell: large blocks, each with wind that says what it is.
PLAIN_WEATHER = """
as_batch = climate.as_batch
def plain(fields, labels):
    blocks = labels[:, 8::16, 8::16].repeat(16, axis=1).repeat(16, axis=2)
    for i in (1, 2):
        fields[:, i] += 8.0 * (blocks == i)
    return as_batch(fields, blocks)
climate.as_batch = plain
run((1,), train_samples=512, test_samples=32, evaluations=4, target=0.82)
"""


def train(script: str, kind: str, how: str, out: Path) -> Run:
    """Train on two ranks."""
    program = out.with_suffix(".py")
    program.write_text(TRAIN.format(script=script, kind=kind) + how)
    run = run_python([str(STACK_PYTHON), *TORCHRUN, "--nproc-per-node=2", str(program)], out)
    assert run.exit == 0, run.output
    return run


def of_seed(seed: int, output: str) -> str:
    """A seed's log, as validation/README.md takes it out of what a run printed."""
    return "".join(line for line in output.splitlines(True) if f'"seed": {seed}}}' in line)


def complaints(log: str, folder: Path) -> tuple[int, list[str]]:
    """What the checker of MLPerf HPC's last rules finds wrong: its exit status, and each thing."""
    (folder / "log").write_text(log)
    checker = [sys.executable, "-m", "mlperf_logging.compliance_checker"]
    rules = ["--usage", "hpc", "--ruleset", "3.0.0"]
    done = subprocess.run(
        [*checker, *rules, "log"], cwd=folder, capture_output=True, text=True, check=False
    )
    said = re.findall(r"WARNING -  (.*?)(?=\n(?:ERROR|INFO) - )", done.stderr, re.DOTALL)
    return done.returncode, [one for text in said for one in text.split("\n" + "-" * 30 + "\n")]


def events(log: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in log.splitlines()]


@needs_checker
@pytest.mark.slow
@pytest.mark.long
def test_the_checker_accepts_cosmoflow_trained_to_its_target(tmp_path: Path) -> None:
    run = run_case("torchrun", "cosmoflow", "--scale", "mlperf", "--seeds", "1", out=tmp_path / "o")

    assert run.finished(), run.output
    assert run.failed() == set()
    assert complaints(of_seed(1, run.output), tmp_path) == (0, [])


@needs_checker
@pytest.mark.slow
@pytest.mark.long
def test_the_checker_accepts_deepcam_where_its_target_can_be_reached(tmp_path: Path) -> None:
    run = train("climate_deeplab", "Segmentation", PLAIN_WEATHER, tmp_path / "out")

    assert complaints(of_seed(1, run.output), tmp_path) == (0, [])


@needs_checker
@pytest.mark.parametrize(
    ("script", "kind", "short"),
    [
        ("cosmoflow", "Cosmology", "eval_error : v['value'] <= 0.124 and v['value'] > 0."),
        (
            "climate_deeplab",
            "Segmentation",
            "eval_accuracy : v['value'] >= 0.82 and v['value'] <= 1.",
        ),
    ],
)
def test_a_training_that_misses_the_target_lacks_nothing_else(
    script: str, kind: str, short: str, tmp_path: Path
) -> None:
    run = train(script, kind, FEW_STEPS, tmp_path / "out")

    for seed in (1, 2):
        log = of_seed(seed, run.output)
        assert complaints(log, tmp_path) == (1, [f"Failed checks for {short}"])
        stop = next(event for event in events(log) if event["key"] == "run_stop")
        assert stop["metadata"]["status"] == "aborted"


def test_each_line_is_of_one_seed_and_says_what_was_done(tmp_path: Path) -> None:
    run = train("hepcnn", "Jets", FEW_STEPS, tmp_path / "out")

    logs = [of_seed(seed, run.output) for seed in (1, 2)]
    lines = [line for line in run.output.splitlines() if ":::MLLOG" in line]
    assert sum(len(log.splitlines()) for log in logs) == len(lines)
    for seed, log in enumerate(logs, 1):
        points = {e["key"]: e["value"] for e in events(log) if e["event_type"] == "POINT_IN_TIME"}
        assert points["submission_benchmark"] == "hepcnn"
        assert points["seed"] == seed
        assert points["number_of_ranks"] == 2
        assert points["number_of_nodes"] == 1
        assert points["train_samples"] == 4 * points["global_batch_size"]
        assert points["eval_samples"] == 16
        keys = [e["key"] for e in events(log) if e["event_type"] != "POINT_IN_TIME"]
        evaluation = ["eval_start", "eval_stop"]
        assert keys == [
            *("init_start", "staging_start", "staging_stop", "init_stop", "run_start"),
            *(*evaluation, "epoch_start", *evaluation, *evaluation, "epoch_stop", "run_stop"),
        ]
