"""JSON Schemas of the files that people write, for completion and checks in editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line reads the table below at start-up
    from pydantic import BaseModel

# Kind of file -> the module and the class of its model.
MODELS: Mapping[str, tuple[str, str]] = {
    "stack": ("stackwright.inputs.stacks", "Stack"),
    "common": ("stackwright.inputs.sources", "Common"),
    "source": ("stackwright.inputs.sources", "Source"),
    "system": ("stackwright.inputs.systems", "System"),
    "injection": ("stackwright.inputs.injections", "Injection"),
    "suite": ("stackwright.validation.suites", "Suite"),
    "cuda": ("stackwright.inputs.cuda", "Cuda"),
    "environment": ("stackwright.inputs.environment", "Table"),
}


def schema_text(kind: str) -> str:
    """The JSON Schema (draft 2020-12) of a kind of file, as it is committed."""
    module, name = MODELS[kind]
    model: type[BaseModel] = getattr(import_module(module), name)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
