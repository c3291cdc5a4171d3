"""What is in an artefact: its plan and lock, and its overlay's files, as they lie in its prefix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_file
from stackwright.certify.strictjson import parse
from stackwright.plans.plandiff import fields
from stackwright.report.model import Plan
from stackwright.spack.lockfile import Node, nodes

OWN = Path("share", "stackwright")
_RECORDS = ("plan.json", "lock.json", "spack.lock", "manifest.json")
_WRITTEN = {OWN / name for name in (*_RECORDS, "module.lua", "kernel.json")}
# What has a list of its own in a plan, or says again what other fields say.
_LISTED = re.compile(
    r"environment\[[^]]*\]\.(name|value)$|lock\.(label$|inputs\.|base\.packages\.)"
    r"|lock\.wheels\.(layers\[[^]]*\]\.wheels|frameworks|packages)\[|lock\.sources\.sdists\["
)


def plan_of(prefix: Path) -> Plan:
    """What an install prefix of the store holds.

    Raises:
        StackwrightError: its plan or its lock is no JSON.
    """
    plan, lock = (installed(prefix, name) for name in ("plan.json", "lock.json"))
    wheels = _pinned(lock)
    every = fields({**plan, "lock": lock})
    return Plan(
        packages=sorted((wheel["name"], wheel["version"]) for wheel in wheels),
        env={variable["name"]: variable["value"] for variable in plan["environment"]},
        os_packages=sorted(lock["base"]["packages"].items()),
        by_spack=_by_spack(prefix),
        wheels={f"{wheel['name']} {wheel['version']}": wheel["digest"] for wheel in wheels},
        overlay=dict(_overlay(prefix)),
        fields={name: value for name, value in every.items() if not _LISTED.match(name)},
    )


def packages(prefix: Path) -> set[str]:
    """The names of Python's packages in a prefix; Spack's ``py-torch`` is ``torch``."""
    names = {wheel["name"] for wheel in _pinned(installed(prefix, "lock.json"))}
    return names | {node.name.removeprefix("py-") for node in _nodes(prefix)}


def _pinned(lock: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """What a lock pins of Python's, layer by layer, and what is built from sources.

    Locks of before layers had names have two groups in their place.
    """
    wheels, sources = lock["wheels"], lock.get("sources")
    groups = (
        [layer["wheels"] for layer in wheels["layers"]]
        if "layers" in wheels
        else [wheels["frameworks"], wheels["packages"]]
    )
    return [one for group in groups for one in group] + (sources["sdists"] if sources else [])


def _by_spack(prefix: Path) -> dict[str, str]:
    """What Spack decided on: specs by name, with the hash where several have one name."""
    found = _nodes(prefix)
    times = Counter(node.name for node in found)
    return {
        node.name if times[node.name] == 1 else f"{node.name} /{node.hash[:7]}": node.spec
        for node in found
    }


def _nodes(prefix: Path) -> tuple[Node, ...]:
    """What Spack installed, if anything."""
    there = (prefix / OWN / "spack.lock").is_file()
    return nodes(installed(prefix, "spack.lock")) if there else ()


def installed(prefix: Path, name: str) -> Any:
    """One of the JSON files that a build leaves in a prefix."""
    path = prefix / OWN / name
    return parse(path.read_bytes(), str(path))


def _overlay(prefix: Path) -> Iterator[tuple[str, str]]:
    """The names are those that the build laid over the layers, the bytes those of the prefix."""
    own = prefix.parent / "own"
    for name in sorted(path.relative_to(own) for path in own.rglob("*")):
        path = prefix / name
        if path.is_symlink():
            yield str(name), f"-> {path.readlink()}"
        elif path.is_file() and name not in _WRITTEN:
            executable = " executable" if path.stat().st_mode & 0o100 else ""
            yield str(name), f"{hash_file(path)}{executable}"
