"""TensorFlow's and JAX's operations: right ones pass, and each fault fails the checks for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from payload_runs import CASES, FAULTS, STACK_PYTHON, needs_stack

CATALOGUE = Path(__file__).parents[1] / "mutants/catalogue.yaml"
SUITES = {"tensorflow": "tensorflow-certify", "jax": "jax"}

# Forked before anything is computed: each fault has a process of its own, that has the framework.
PROGRAM = """
import importlib, json, os, sys

sys.path[:0] = sys.argv[1:4]
framework, meant = sys.argv[4], json.loads(sys.argv[5])
importlib.import_module({"tensorflow": "keras", "jax": "flax"}[framework])
import definitions, frameworks, limits

for fault, checks in {"": None, **meant}.items():
    if not (child := os.fork()):
        if fault:
            importlib.import_module(fault)
        all_checks = definitions.checks(frameworks.part("definitions", framework))
        told = {name: limits.judged(all_checks[name]()) for name in checks or all_checks}
        print(json.dumps([fault, told]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, fault
"""


@pytest.mark.slow
@needs_stack
@pytest.mark.parametrize("framework", SUITES)
def test_right_operations_pass_and_each_fault_fails_its_checks(framework: str) -> None:
    faults = yaml.safe_load(CATALOGUE.read_text())["start_up"]
    meant = {
        fault.get("code", fault["name"]): fault["checks"]
        for fault in faults
        if fault["case"] == "definitions.none-1" and fault["suite"] == SUITES[framework]
    }
    places = [str(place) for place in (CASES, CASES.parent, FAULTS)]

    said = subprocess.run(
        [str(STACK_PYTHON), "-c", PROGRAM, *places, framework, json.dumps(meant)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout

    found = dict(json.loads(line) for line in said.splitlines() if line.startswith("["))
    assert found.keys() == {"", *meant}
    assert [told for right, told in found.pop("").values() if not right] == []
    passed = {
        f"{fault}: {name}" for fault, of in found.items() for name, (ok, _) in of.items() if ok
    }
    assert passed == set()
