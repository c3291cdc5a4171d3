"""The JSON Schemas for editors: committed, current, and of one mind with the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stackwright.inputs.schemas import MODELS, schema_text

ROOT = Path(__file__).parents[2]
WRONG = Path(__file__).parent / "wrong"
FILES = [
    ("stack", ROOT / "stacks" / "pytorch.yaml"),
    ("stack", ROOT / "tests" / "site" / "stacks" / "demo.yaml"),
    *(("system", path) for path in sorted((ROOT / "systems").glob("*.yaml"))),
    *(("injection", path) for path in sorted((ROOT / "systems" / "injections").glob("*.yaml"))),
    ("system", ROOT / "tests" / "site" / "systems" / "summit-like.yaml"),
    ("suite", ROOT / "validation" / "suites" / "smoke.yaml"),
    ("suite", ROOT / "validation" / "suites" / "core.yaml"),
    ("suite", ROOT / "validation" / "suites" / "certify.yaml"),
    ("environment", ROOT / "systems" / "policy" / "environment.yaml"),
]


def errors_of(kind: str, path: Path) -> list[Any]:
    plain = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
    return [*Draft202012Validator(json.loads(schema_text(kind))).iter_errors(plain)]


@pytest.mark.parametrize("kind", MODELS)
def test_the_committed_schema_is_that_of_the_model(kind: str) -> None:
    assert (ROOT / "docs" / "schemas" / f"{kind}.json").read_text() == schema_text(kind), (
        "run: stackwright schema --write docs/schemas"
    )


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_is_valid_and_closed(kind: str) -> None:
    schema = json.loads(schema_text(kind))

    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda value: getattr(value, "stem", value))
def test_what_the_models_take_the_schemas_take(kind: str, path: Path) -> None:
    assert errors_of(kind, path) == []


def test_names_that_would_be_code_are_marked_in_the_editor() -> None:
    places = {error.json_path for error in errors_of("stack", WRONG / "stacks" / "injected.yaml")}

    assert {"$.homepage", "$.python", "$.module.conflicts[0]", "$.variants.cpu.overlay"} <= places
