"""The operators: a right stack passes, and each fault fails the checks that are meant for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from payload_runs import CASES, STACK_PYTHON, needs_stack

MUTANTS = Path(__file__).parents[1] / "mutants"

# Forked before anything is computed: each fault has a process of its own, that has torch already.
PROGRAM = """
import importlib, json, os, sys

sys.path[:0] = sys.argv[1:4]
import torch, operators

for fault, checks in {"": list(operators.CHECKS), **json.loads(sys.argv[4])}.items():
    if not (child := os.fork()):
        if fault:
            importlib.import_module(fault)
        told = {}
        for name in checks:
            torch.manual_seed(1)
            told[name] = operators.judged(operators.CHECKS[name]())
        print(json.dumps([fault, told]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, fault
"""


@pytest.mark.slow
@needs_stack
def test_a_right_stack_passes_and_each_fault_fails_its_checks() -> None:
    catalogue = yaml.safe_load((MUTANTS / "catalogue.yaml").read_text())["start_up"]
    meant = {f["name"]: f["checks"] for f in catalogue if f["case"] == "operators.none-1"}
    places = [str(place) for place in (CASES, CASES.parent, MUTANTS / "faults")]

    said = subprocess.run(
        [STACK_PYTHON, "-c", PROGRAM, *places, json.dumps(meant)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout

    found = dict(json.loads(line) for line in said.splitlines())
    assert found.keys() == {"", *meant}
    assert [told for right, told in found.pop("").values() if not right] == []
    passed = {
        f"{fault}: {name}" for fault, of in found.items() for name, (ok, _) in of.items() if ok
    }
    assert passed == set()
