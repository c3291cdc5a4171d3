"""What a site puts into containers at run time: one file each, systems/injections/<name>.yaml."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.environment import TABLE_ONLY, SettableName
from stackwright.inputs.fields import (
    AbsolutePath,
    Library,
    Line,
    Model,
    Name,
    Text,
    Url,
    Value,
)
from stackwright.inputs.yamlfile import Document, load_document
from stackwright.threads import THREADS

Glibc = Annotated[str, Text(r"2\.[0-9]+", "a glibc version such as '2.36'")]
Place = tuple[str | int, ...]


OF_THE_STACK = ("/opt/stackwright", "/stackwright", "/tmp/stackwright")  # noqa: S108
OF_THE_BASE = (
    *("/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64"),
    *("/usr/share", "/usr/local", "/etc", "/dev", "/proc", "/sys", "/var", "/tmp"),  # noqa: S108
)
"""Folders that no injection may hide, and those below which it may not bring anything, either."""
_OF_THE_LOADER = ("/etc/ld.so.*", "/etc/ld.so.*/*", "/proc/*", "/sys/*", "/dev/*")
"""Files by which every program would load something else, and detours to the stack's own."""
_FOLDERS = frozenset({"LD_LIBRARY_PATH", "FI_PROVIDER_PATH"})
_OF_THE_SUITE = frozenset(THREADS)


def plain(path: str | PurePosixPath) -> PurePosixPath:
    """An absolute path without the detours by which `/opt/a/../stackwright` looks like another."""
    return PurePosixPath("/", posixpath.normpath(str(path)).lstrip("/"))


def _hides(target: PurePosixPath) -> bool:
    """Whether the stack's own, the cases, the loader's files or whole folders would be hidden."""
    target = plain(target)
    own = any(target.is_relative_to(place) for place in OF_THE_STACK)
    loader = any(fnmatchcase(str(target), like) for like in _OF_THE_LOADER)
    above = (PurePosixPath(place) for place in (*OF_THE_STACK, *OF_THE_BASE))
    return own or loader or any(place.is_relative_to(target) for place in above)


class Carried(Model):
    """A file or folder of the host, and where it is in the container: by default there, too."""

    source: AbsolutePath
    target: AbsolutePath | None = None

    @property
    def inside(self) -> PurePosixPath:
        """Where it is in the container."""
        return PurePosixPath(self.target or self.source)


class InjectedLibrary(Model):
    """A library that programs in the container load from the host, and the glibc that it needs."""

    soname: Library
    glibc: Glibc | None = None


class Injection(Model):
    """Files, libraries and variables that come from the host.

    Args:
        bind: seen in the container as they are on the host.
        copied: ``copy``: copied into it when it starts, for paths that can't be bound.
        env: variables that it sets, whatever image and user say.
        prepend: folders that it puts first in variables such as LD_LIBRARY_PATH.
        conflicts: other injections with which it can't be used.
        libraries: what it brings, for checks of what the image leaves out.
        modules: the modules of run times that bring it themselves, such as Shifter's ``mpich``.
    """

    name: Name
    why: Line
    source: Url
    bind: tuple[Carried, ...] = ()
    copied: tuple[Carried, ...] = Field((), alias="copy")
    env: Mapping[SettableName, Value] = {}
    prepend: Mapping[SettableName, AbsolutePath] = {}
    conflicts: tuple[Name, ...] = ()
    libraries: tuple[InjectedLibrary, ...] = ()
    modules: Mapping[Literal["shifter", "podman-hpc"], Name] = {}

    @field_validator("bind", "copied")
    @classmethod
    def _hides_nothing(cls, carried: tuple[Carried, ...]) -> tuple[Carried, ...]:
        for each in carried:
            if _hides(each.inside):
                raise ValueError(
                    f"it would lie over {each.inside}: what ran would not be what was certified;"
                    " choose a folder of its own, such as /opt/injected"
                )
        return carried

    @field_validator("env", "prepend")
    @classmethod
    def _loads_nothing_unseen(
        cls, variables: Mapping[str, str], info: ValidationInfo
    ) -> Mapping[str, str]:
        for name in variables:
            if name in _FOLDERS and info.field_name == "env":
                raise ValueError(
                    f"{name} would take the place of what others need: put it under 'prepend'"
                )
            if name in _OF_THE_SUITE:
                raise ValueError(f"a validation sets {name} itself, for each case")
            if name not in _FOLDERS and any(fnmatchcase(name, like) for like in TABLE_ONLY):
                raise ValueError(
                    f"'{name}' decides what programs load; an injection brings files, and puts"
                    f" their folder first in {' or '.join(sorted(_FOLDERS))}"
                )
        return variables

    @model_validator(mode="after")
    def _brings_something(self) -> Injection:
        if not (self.bind or self.copied or self.env or self.prepend or self.libraries):
            raise ValueError("it injects nothing: give it 'bind', 'copy', 'env' or 'libraries'")
        return self


def load_injection(path: Path) -> Document[Injection]:
    """Read an injection's file.

    Raises:
        ManyErrors: every mistake in the file, each with its place.
    """
    document = load_document(path, Injection)
    if document.value.name != path.stem:
        what = f"the injection is called '{document.value.name}' but its file '{path.name}'"
        raise ManyErrors(
            [document.error(what, "name", hint=f"rename one of them: name: {path.stem}")]
        )
    return document


def clashes(documents: Sequence[Document[Injection]]) -> Iterator[StackwrightError]:
    """Where injections of one system would overwrite what another of them, or they, have put there.

    Folders that two put first in a variable don't clash: both are in it, in the system's order.
    """
    for document in documents:
        yield from _between(document, document, combinations(_writes(document.value), 2))
    for one, other in combinations(documents, 2):
        pairs = ((a, b) for a in _writes(one.value) for b in _writes(other.value))
        yield from _between(one, other, pairs)
        yield from _refused(one, other)
        yield from _refused(other, one)


GLIBC_OF_SUITE: Mapping[str, str] = {
    "bullseye": "2.31",
    "bookworm": "2.36",
    "trixie": "2.41",
    "jammy": "2.35",
    "noble": "2.39",
}
"""The glibc of suites of Debian and Ubuntu (https://packages.debian.org/libc6,
https://packages.ubuntu.com/libc6)."""


def too_new(
    documents: Sequence[Document[Injection]], suite: str | None
) -> Iterator[StackwrightError]:
    """The libraries that need a newer glibc than images of a suite have, where that is known."""
    if (has := GLIBC_OF_SUITE.get(suite or "")) is None:
        return
    for document in documents:
        for index, library in enumerate(document.value.libraries):
            if library.glibc and _numbers(library.glibc) > _numbers(has):
                needs = f"{library.soname} needs glibc {library.glibc}"
                what = f"{needs}, and images of {suite} have {has}"
                hint = "name a newer 'suite' in the system's base"
                yield document.error(what, "libraries", index, "glibc", hint=hint)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


Write = tuple[Place, str | PurePosixPath]
"""Where an injection says that it writes, and to which variable or path."""


def _writes(injection: Injection) -> Iterator[Write]:
    yield from ((("env", name), name) for name in injection.env)
    yield from ((("prepend", name), name) for name in injection.prepend)
    for kind, carried in (("bind", injection.bind), ("copy", injection.copied)):
        yield from (((kind, index), each.inside) for index, each in enumerate(carried))


def _between(
    one: Document[Injection], other: Document[Injection], pairs: Iterable[tuple[Write, Write]]
) -> Iterator[StackwrightError]:
    for (place, written), (later, overwritten) in pairs:
        both_first = place[0] == later[0] == "prepend"
        if not both_first and _same(written, overwritten):
            who = "" if one is other else f", which '{one.value.name}' writes as well"
            what = f"'{other.value.name}' overwrites {overwritten}{who} ({one.where(*place)})"
            hint = "leave it to one of them, or name just one of them in the system's 'injections'"
            yield other.error(what, *later, hint=hint)


def _same(one: str | PurePosixPath, other: str | PurePosixPath) -> bool:
    """Whether they are one variable, or one path of which the other is a part."""
    if isinstance(one, PurePosixPath) and isinstance(other, PurePosixPath):
        return one.is_relative_to(other) or other.is_relative_to(one)
    return one == other


def _refused(one: Document[Injection], other: Document[Injection]) -> Iterator[StackwrightError]:
    if other.value.name in one.value.conflicts:
        index = one.value.conflicts.index(other.value.name)
        what = f"'{one.value.name}' can't be used with '{other.value.name}'"
        hint = "name just one of them in the system's 'injections'"
        yield one.error(what, "conflicts", index, hint=hint)
