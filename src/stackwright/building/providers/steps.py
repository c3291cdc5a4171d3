"""What a build is made of: shell scripts, each with everything that it depends on declared.

The scripts are plain files of the recipe and run by hand as well (``build.sh``). A step's key
hashes the script, the files it reads, the settings it reads and the keys of the steps it builds on:
equal keys mean equal outputs, and a step whose key has an output is never run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackwright.canonical import hash_bytes, hash_value

COMMON = "common.sh"
"""What every script sources first; it sources ``settings.sh``."""

EPOCH = "SOURCE_DATE_EPOCH"
ENGINE_FILES = ("engine.sh", "oci_layers.py", "root-image.sh", "base.Containerfile")
"""What a step reads that works in a container."""


@dataclass(frozen=True)
class Step:
    """One script of a recipe.

    Args:
        name: unique in the recipe; also the kind under which the store keeps the output.
        title: what the user is told is being done.
        script: file name under ``steps/``.
        argument: the script's argument.
        inputs: the step whose output the script finds in ``IN_<KEY>``.
        files: other files of the recipe that it reads; a name that ends in ``/`` is a folder.
        settings: the variables of ``settings.sh`` that it reads.
        uses_engine: whether the container engine has a hand in the output.
    """

    name: str
    title: str
    script: str
    argument: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    uses_engine: bool = False


@dataclass(frozen=True)
class Recipe:
    """The files rendered from a plan and its lock, and the steps that build them."""

    files: Mapping[str, bytes]
    settings: Mapping[str, str]
    steps: tuple[Step, ...]


def variable(layer: str) -> str:
    """What a layer is called in the names of variables, which have no hyphens."""
    return layer.replace("-", "_")


def step_keys(recipe: Recipe, engine: str) -> dict[str, str]:
    """The key of every step, ``sha256:<hex>``, by the step's name."""
    keys: dict[str, str] = {}
    for step in recipe.steps:
        names = [COMMON, f"steps/{step.script}", *_files(recipe, step)]
        keys[step.name] = hash_value(
            {
                "step": step.name,
                "argument": step.argument,
                "files": {name: hash_bytes(recipe.files[name]) for name in names},
                "settings": {name: recipe.settings[name] for name in step.settings},
                "inputs": {name: keys[source] for name, source in step.inputs.items()},
                "engine": engine if step.uses_engine else "",
            }
        )
    return keys


def _files(recipe: Recipe, step: Step) -> list[str]:
    found: list[str] = []
    for name in step.files:
        found += [f for f in recipe.files if f == name or (name[-1] == "/" and f.startswith(name))]
    return sorted(found)
