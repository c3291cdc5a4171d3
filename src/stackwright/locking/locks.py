"""Locks: every file that goes into an artefact, by version and hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pydantic import Field, StringConstraints, ValidationError

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.fields import Model
from stackwright.inputs.labels import Label
from stackwright.locking.difference import Difference, between

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.whl$")]
SdistName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.(tar\.gz|zip)$")
]
PipName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$")]
PipVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
DebianVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:~-]*$")]

_MEND = (
    "`stackwright lock LABEL` writes locks, hands don't: take it back from version control,"
    " or remove it and lock anew"
)


class Wheel(Model):
    """One wheel, by the hash of its bytes; where it is downloaded from is pip's own matter.

    ``needs`` are the names of the wheels that it needs itself.
    """

    name: PipName
    version: PipVersion
    file: FileName
    digest: Digest
    needs: tuple[PipName, ...] = ()


class Sdist(Model):
    """Sources, by the hash of their file's bytes."""

    name: PipName
    version: PipVersion
    file: SdistName
    digest: Digest


class Base(Model):
    """The base root file system: the tar's sha256, and the version of every Debian package in it.

    ``source`` is the Debian suite, or the image by its digest.
    """

    source: str
    digest: Digest
    packages: Mapping[str, DebianVersion]


class Layer(Model):
    """Wheels that are installed into a layer of their own."""

    name: PipName
    wheels: tuple[Wheel, ...]


class Wheels(Model):
    """What is installed, layer by layer from the lowest, and the tools that install it."""

    tools: tuple[Wheel, ...]
    layers: tuple[Layer, ...]

    @property
    def installed(self) -> tuple[Wheel, ...]:
        """The wheels of all layers."""
        return tuple(wheel for layer in self.layers for wheel in layer.wheels)

    @property
    def every(self) -> tuple[Wheel, ...]:
        """The wheels of all layers, and the tools."""
        return (*self.tools, *self.installed)


class Sources(Model):
    """What wheels are built from, and with: sources, a build environment and a toolchain."""

    sdists: tuple[Sdist, ...]
    build: tuple[Wheel, ...]
    toolchain: Base


class Inputs(Model):
    """Hashes of what each part of a lock was solved from; a part with another one is stale.

    ``sources`` is None for a stack that has none.
    """

    base: Digest
    wheels: Digest
    sources: Digest | None = None


class Lock(Model):
    """What the solvers decided for one label."""

    schema_: Literal["stackwright/lock/2"] = Field(alias="schema")
    label: str
    inputs: Inputs
    base: Base
    wheels: Wheels
    sources: Sources | None = None
    solved_with: Mapping[str, str]

    @property
    def versions(self) -> str:
        """What is installed, as ``torch=2.13.0+cpu,numpy=2.4.6``."""
        built = self.sources.sdists if self.sources else ()
        every: list[Wheel | Sdist] = [*self.wheels.installed, *built]
        return ",".join(f"{one.name}={one.version}" for one in every)

    def to_json(self) -> bytes:
        """One entry a line, for readable diffs."""
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


class UnreadableLock(StackwrightError):  # noqa: N818  (what it is, not that it is an error)
    """A lock that no solver has written so."""


def load_lock(path: Path, label: Label | None = None) -> Lock:
    """Read a lock file; see :func:`read_lock`."""
    return read_lock(path.read_bytes(), path, label)


def read_lock(data: bytes, path: Path, label: Label | None = None) -> Lock:
    """Read what a lock file holds.

    Args:
        path: where it lies, for what is wrong with it.
        label: whose lock it has to be.

    Raises:
        UnreadableLock: it is not a lock that this version understands, or another label's, or one
            of its wheels has another name or version than its file.
    """
    try:
        lock = Lock.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        why = ": ".join(filter(None, ("not a valid lock", place, first["msg"])))
        raise UnreadableLock(why, where=Location(path), hint=_MEND) from error
    for why, text in _mistakes(lock, label):
        line = data[: data.find(text.encode())].count(b"\n") + 1
        raise UnreadableLock(f"not a valid lock: {why}", where=Location(path, line), hint=_MEND)
    return lock


def _mistakes(lock: Lock, label: Label | None) -> Iterator[tuple[str, str]]:
    """What a lock says that can't be, each with the text that stands on its line."""
    if label is not None and lock.label != str(label):
        yield f"it is the lock of {lock.label}, not of {label}", '"label"'
    build = lock.sources.build if lock.sources else ()
    for wheel in (*lock.wheels.every, *build):
        if (named := _named(wheel.file)) and named != (wheel.name, _version(wheel.version)):
            yield f"{wheel.name} {wheel.version} is not what {wheel.file} holds", wheel.file


def _named(file: str) -> tuple[str, Version | None] | None:
    """The name and version in a wheel's file name; None where it doesn't follow the standard."""
    try:
        return parse_wheel_filename(file)[:2]
    except InvalidWheelFilename:
        return None


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def requirements_txt(wheels: Iterable[Wheel | Sdist]) -> str:
    """Wheels, or sources, in pip's hash-checking form."""
    lines = [f"{w.name}=={w.version} --hash={w.digest}" for w in wheels]
    return "".join(f"{line}\n" for line in lines)


def drift(old: Base, new: Base) -> list[Difference]:
    """The Debian packages that differ between two bases."""
    return [*between("base", "version", old.packages, new.packages)]


def changes(old: Lock, new: Lock) -> list[Difference]:
    """The packages that differ between two locks: Python's first, then Debian's."""
    before, after = (lock.sources.toolchain.packages if lock.sources else {} for lock in (old, new))
    return [
        *_changed(_by_name(old), _by_name(new)),
        *drift(old.base, new.base),
        *between("toolchain", "version", before, after),
    ]


def wheel_differences(old: Layer, new: Layer) -> list[Difference]:
    """The wheels that differ between two layers."""
    return _changed({w.name: w for w in old.wheels}, {w.name: w for w in new.wheels})


def _changed(
    before: Mapping[str, Wheel | Sdist], after: Mapping[str, Wheel | Sdist]
) -> list[Difference]:
    both = [
        (before[name], after[name])
        for name in before.keys() & after.keys()
        if before[name].version == after[name].version
    ]
    renamed = [(old, new) for old, new in both if old.file != new.file]
    replaced = [(old, new) for old, new in both if old.file == new.file]
    return [
        *between("wheels", "version", _versions(before), _versions(after)),
        *between("wheels", "file", *_of_each(renamed, "file")),
        *between("wheels", "digest", *_of_each(replaced, "digest")),
    ]


def _of_each(
    pairs: Iterable[tuple[Wheel | Sdist, Wheel | Sdist]], fact: Literal["file", "digest"]
) -> tuple[dict[str, str], dict[str, str]]:
    found = [(old.name, getattr(old, fact), getattr(new, fact)) for old, new in pairs]
    return {name: old for name, old, _ in found}, {name: new for name, _, new in found}


def _by_name(lock: Lock) -> dict[str, Wheel | Sdist]:
    """What a lock pins of Python's; what only builds, where the stack doesn't hold it as well."""
    every: list[Wheel | Sdist] = [*lock.wheels.every]
    if lock.sources:
        every = [*lock.sources.build, *lock.sources.sdists, *every]
    return {one.name: one for one in every}


def _versions(wheels: Mapping[str, Wheel | Sdist]) -> dict[str, str]:
    return {name: wheel.version for name, wheel in wheels.items()}
