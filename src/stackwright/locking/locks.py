"""Locks: every file that goes into an artefact, by version and hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.fields import Model

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
    """The base root file system: the tar's sha256, and the version of every Debian package in it.

    ``source`` is the Debian suite, or the image by its digest.
    """

    source: str
    digest: Digest
    packages: Mapping[str, DebianVersion]


class Wheels(Model):
    """What is installed, in groups that become layers, and the tools that install it."""

    tools: tuple[Wheel, ...]
    frameworks: tuple[Wheel, ...]
    packages: tuple[Wheel, ...]

    @property
    def every(self) -> tuple[Wheel, ...]:
        """The wheels of all groups."""
        return (*self.tools, *self.frameworks, *self.packages)


class Inputs(Model):
    """Hashes of what each half of a lock was solved from; a half with another one is stale."""

    base: Digest
    wheels: Digest


class Lock(Model):
    """What the solvers decided for one label."""

    schema_: Literal["stackwright/lock/1"] = Field(alias="schema")
    label: str
    inputs: Inputs
    base: Base
    wheels: Wheels
    solved_with: Mapping[str, str]

    @property
    def versions(self) -> str:
        """What is installed, as ``torch=2.13.0+cpu,numpy=2.4.6``."""
        wheels = (*self.wheels.frameworks, *self.wheels.packages)
        return ",".join(f"{wheel.name}={wheel.version}" for wheel in wheels)

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


def requirements_txt(wheels: Iterable[Wheel]) -> str:
    """Wheels in pip's hash-checking form."""
    lines = [f"{w.name}=={w.version} --hash={w.digest}" for w in wheels]
    return "".join(f"{line}\n" for line in lines)


def drift(old: Base, new: Base) -> list[str]:
    """The Debian packages that differ between two bases, a line each."""
    return _differences(old.packages, new.packages)


def changes(old: Lock, new: Lock) -> list[str]:
    """The packages that differ between two locks, a line each: wheels first, then Debian's."""
    before, after = _by_name(old.wheels), _by_name(new.wheels)
    versions = _differences(_versions(before), _versions(after))
    files = [
        f"{name} {after[name].version}: {_other_file(before[name], after[name])}"
        for name in sorted(before.keys() & after.keys())
        if before[name].version == after[name].version and before[name] != after[name]
    ]
    return [*versions, *files, *drift(old.base, new.base)]


def _by_name(wheels: Wheels) -> dict[str, Wheel]:
    return {wheel.name: wheel for wheel in wheels.every}


def _versions(wheels: Mapping[str, Wheel]) -> dict[str, str]:
    return {name: wheel.version for name, wheel in wheels.items()}


def _other_file(old: Wheel, new: Wheel) -> str:
    """How two wheels of one version differ."""
    return "other bytes" if old.file == new.file else f"{old.file} -> {new.file}"


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [
        f"{name} {old.get(name, '(absent)')} -> {new.get(name, '(absent)')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
