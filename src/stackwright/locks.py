"""Locks: every file that goes into an artefact, by version and hash, beside the stack that it locks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import Field, StringConstraints, ValidationError

from stackwright.canonical import hash_value
from stackwright.errors import Location, StackwrightError
from stackwright.fields import Model

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.whl$")]
PipName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$")]
PipVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
DebianVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:~-]*$")]


class Wheel(Model):
    """One wheel, by the hash of its bytes; where it is downloaded from is pip's own matter."""

    name: PipName
    version: PipVersion
    file: FileName
    digest: Digest


class Base(Model):
    """The base root file system: the tar's sha256, and the version of every Debian package in it."""

    suite: str
    digest: Digest
    packages: Mapping[str, DebianVersion]


class Wheels(Model):
    """What is installed, in groups that become layers, and the tools that install it."""

    tools: tuple[Wheel, ...]
    frameworks: tuple[Wheel, ...]
    packages: tuple[Wheel, ...]


class Lock(Model):
    """What the solvers decided for one label."""

    schema_: Literal["stackwright/lock/1"] = Field(alias="schema")
    label: str
    inputs: Digest
    base: Base
    wheels: Wheels
    solved_with: Mapping[str, str]

    def to_json(self) -> bytes:
        """One entry a line, for readable diffs."""
        value = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def load_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        StackwrightError: it is not a lock that this version understands.
    """
    try:
        return Lock.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StackwrightError(
            f"not a valid lock: {place}: {first['msg']}",
            where=Location(path),
            hint="locks are written by `stackwright lock LABEL`, not by hand",
        ) from error


def inputs_hash(inputs: Mapping[str, Any]) -> str:
    """Hash of what a lock was solved from; a lock with another one is stale."""
    return hash_value(inputs)


def check_fresh(lock: Lock, inputs: Mapping[str, Any], path: Path) -> None:
    """Refuse a lock that was solved from other inputs than the stack and the system now say.

    Raises:
        StackwrightError: the lock is stale.
    """
    if lock.inputs != inputs_hash(inputs):
        raise StackwrightError(
            f"the lock of {lock.label} is stale: its stack or system file has changed since",
            where=Location(path),
            hint=f"stackwright lock '{lock.label}'",
        )


def platform_tags(machine: str, glibc: str) -> list[str]:
    """The manylinux tags of wheels that run on a glibc, newest first (PEP 600 and its aliases).

    Args:
        machine: ``x86_64`` or ``aarch64``.
        glibc: such as ``2.36``.
    """
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    minor = int(glibc.removeprefix("2."))
    oldest = 5 if machine == "x86_64" else 17
    tags: list[str] = []
    for number in range(minor, oldest - 1, -1):
        tags.append(f"manylinux_2_{number}_{machine}")
        if number in legacy:
            tags.append(f"{legacy[number]}_{machine}")
    return tags


def group_wheels(report: Mapping[str, Any], frameworks: Iterable[str], python: str) -> Wheels:
    """Split what pip resolved into the frameworks with all that they need, and the rest.

    Args:
        report: pip's installation report (``pip install --report``, version 1).
        frameworks: names of the required frameworks, normalised.
        python: the Python that the wheels are for, such as ``3.11``.

    Raises:
        StackwrightError: the set lacks something that a wheel needs on that Python.
    """
    items = {canonicalize_name(i["metadata"]["name"]): i for i in report["install"]}
    needs = {name: _needs(item, python) for name, item in items.items()}
    for name, wanted in needs.items():
        if absent := sorted(wanted - items.keys()):
            raise StackwrightError(
                f"{name} needs {', '.join(absent)} on Python {python}, which pip left out",
                hint=f"run `stackwright lock` with Python {python}",
            )
    closure: set[str] = set()
    waiting: list[str] = list(frameworks)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in closure:
            closure.add(name)
            waiting += needs[name]
    wheels = [_wheel(name, item) for name, item in sorted(items.items())]
    return Wheels(
        tools=(),
        frameworks=tuple(w for w in wheels if w.name in closure),
        packages=tuple(w for w in wheels if w.name not in closure),
    )


def _needs(item: Mapping[str, Any], python: str) -> set[str]:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    found: set[str] = set()
    for text in item["metadata"].get("requires_dist", []):
        requirement = Requirement(text)
        extras = ["", *item.get("requested_extras", [])]
        if requirement.marker is None or any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in extras
        ):
            found.add(canonicalize_name(requirement.name))
    return found


def _wheel(name: str, item: Mapping[str, Any]) -> Wheel:
    from urllib.parse import unquote

    info = item["download_info"]
    return Wheel(
        name=name,
        version=item["metadata"]["version"],
        file=unquote(info["url"].rsplit("/", 1)[1]),
        digest=f"sha256:{info['archive_info']['hashes']['sha256']}",
    )


def requirements_txt(wheels: Iterable[Wheel]) -> str:
    """Wheels in pip's hash-checking form."""
    lines = [f"{w.name}=={w.version} --hash={w.digest}" for w in wheels]
    return "".join(f"{line}\n" for line in lines)


def drift(locked: Base, built: Mapping[str, str]) -> list[str]:
    """The differences between locked Debian packages and those just installed, a line each."""
    names = sorted(locked.packages.keys() | built.keys())
    return [
        f"{name} {locked.packages.get(name, '(absent)')} -> {built.get(name, '(absent)')}"
        for name in names
        if locked.packages.get(name) != built.get(name)
    ]
