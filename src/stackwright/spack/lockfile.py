"""What Spack decided for a label: its own lock, and what it was made by and from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.fields import Model, Word
from stackwright.inputs.labels import Label
from stackwright.locking.locks import Digest

GitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]

_LANGUAGES = frozenset({"c", "cxx", "fortran"})
"""The virtual packages that compilers of Spack 1 provide."""

_MEND = (
    "`stackwright lock LABEL` writes locks, hands don't: take it back from version control,"
    " or remove it and lock anew"
)


class Source(Model):
    """A checkout that had a part in a lock. ``tree`` is the same in every copy of its files."""

    version: Word
    commit: GitId
    tree: GitId


class SpackLock(Model):
    """What the real Spack decided, and what decided it.

    Args:
        inputs: the hash of the files that it was asked with.
        packages: Spack's repository of packages; None where none of it was used.
        seconds: what it took.
        lock: Spack's own ``spack.lock``.
    """

    schema_: Literal["stackwright/spack-lock/1"] = Field(alias="schema")
    label: str
    inputs: Digest
    spack: Source
    packages: Source | None
    seconds: Annotated[float, Field(ge=0)]
    lock: Mapping[str, Any]

    def to_json(self) -> bytes:
        """One package a line, for readable differences."""
        value = self.model_dump(mode="json", by_alias=True)
        lock = value.pop("lock")
        head = json.dumps(value, indent=1, sort_keys=True).removesuffix("\n}")
        return f'{head},\n "lock": {_by_line(lock)}\n}}\n'.encode()

    def same_as(self, other: SpackLock) -> bool:
        """Whether another one says the same, whatever it took; Spack has roots in any order."""
        return _compared(self) == _compared(other)

    @property
    def spack_lock(self) -> bytes:
        """The content of the file ``spack.lock``."""
        return f"{_by_line(self.lock)}\n".encode()


@dataclass(frozen=True)
class Node:
    """A package of a lock, whatever version the lock's format has.

    Args:
        compiler: what compiled it; several, with commas between them, where languages differ.
        namespace: of the repository that its recipe is from, such as ``builtin``.
        variants: as Spack has them: true, false, or the values.
    """

    name: str
    namespace: str
    version: str
    hash: str
    target: str
    compiler: str | None
    variants: Mapping[str, Any]
    external: bool

    @property
    def spec(self) -> str:
        """All but the name, in Spack's words, as `spack find --long --variants` has them."""
        by = [f"%{one}" for one in (self.compiler or "").split(",") if one]
        settings = [
            _setting(name, value) for name, value in sorted(self.variants.items()) if value != []
        ]
        where = ["(external)"] if self.external else []
        words = [f"@{self.version}", *by, *settings, f"target={self.target}", *where]
        return " ".join([*words, f"/{self.hash[:7]}"])


def _setting(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"{'+' if value else '~'}{name}"
    return f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"


def nodes(lock: Mapping[str, Any]) -> tuple[Node, ...]:
    """The packages of a ``spack.lock`` of format 5 or 6, by name."""
    specs = lock["concrete_specs"]
    found = (_node(key, value, specs) for key, value in specs.items())
    return tuple(sorted(found, key=lambda node: (node.name, node.hash)))


def _node(key: str, value: Mapping[str, Any], specs: Mapping[str, Any]) -> Node:
    target = value["arch"]["target"]
    compilers = {f"{one['name']}@{one['version']}" for one in _compilers(value, specs)}
    return Node(
        name=value["name"],
        namespace=value["namespace"],
        version=value["version"],
        hash=key,
        target=target if isinstance(target, str) else target["name"],
        compiler=",".join(sorted(compilers)) or None,
        variants=value.get("parameters", {}),
        external="external" in value,
    )


def _compilers(value: Mapping[str, Any], specs: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What compiled a package: an attribute of it in formats before 6, later what it depends on."""
    if "compiler" in value:
        yield value["compiler"]
    for needed in value.get("dependencies", ()):
        if _LANGUAGES.intersection(needed["parameters"]["virtuals"]):
            yield specs[needed["hash"]]


def contradiction(lock: Mapping[str, Any], made_by: Source) -> str | None:
    """What a lock of Spack's says of the Spack that made it, if that is something else.

    Only one that runs from a checkout says its commit there.
    """
    said = lock.get("spack", {})
    for what, value in (("version", made_by.version), ("commit", made_by.commit)):
        if said.get(what, value) != value:
            return f"it was made by Spack {said[what]}, and not by {value}"
    return None


def load_spack_lock(path: Path, label: Label) -> SpackLock:
    """Read the file of what Spack decided for a label; see :func:`read_spack_lock`."""
    return read_spack_lock(path.read_bytes(), path, label)


def read_spack_lock(data: bytes, path: Path, label: Label) -> SpackLock:
    """Read what Spack decided for a label.

    Args:
        path: where it lies, for what is wrong with it.

    Raises:
        StackwrightError: it is not such a file, or another label's.
    """
    try:
        lock = SpackLock.model_validate_json(data)
        nodes(lock.lock)
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
        raise StackwrightError(
            f"not a lock of Spack: {what}", where=Location(path), hint=_MEND
        ) from error
    wrong = contradiction(lock.lock, lock.spack)
    if lock.label != str(label):
        wrong = f"it is that of {lock.label}, not of {label}"
    if wrong:
        raise StackwrightError(
            f"not a lock of Spack: {wrong}",
            where=Location(path),
            hint=_MEND,
        )
    return lock


def _compared(lock: SpackLock) -> SpackLock:
    roots = sorted(lock.lock["roots"], key=lambda root: (root["spec"], root["hash"]))
    return lock.model_copy(update={"seconds": 0.0, "lock": {**lock.lock, "roots": roots}})


def _by_line(lock: Mapping[str, Any]) -> str:
    """JSON with a line for each package; the keys keep their order, which Spack gave them."""
    return "{\n" + ",\n".join(_lines(lock)) + "\n }"


def _lines(lock: Mapping[str, Any]) -> Iterator[str]:
    for key, value in lock.items():
        if key == "concrete_specs":
            found = sorted(value.items(), key=lambda item: (item[1]["name"], item[0]))
            specs = ",\n".join(f"   {json.dumps(h)}: {json.dumps(spec)}" for h, spec in found)
            yield f"  {json.dumps(key)}: {{\n{specs}\n  }}"
        else:
            yield f"  {json.dumps(key)}: {json.dumps(value)}"
