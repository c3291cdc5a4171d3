"""What is released, as values: one generation follows from the one before (docs/formats.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from stackwright.certify.artefact import Artefact, Digest, Frozen, LabelText, StorePath
from stackwright.certify.statement import Timestamp
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs import labels

_T = TypeVar("_T")

_PATH = re.compile(r"(modules|jupyter|images)(/[A-Za-z0-9_+.][A-Za-z0-9_+.-]*)+")


def _check_path(path: str) -> str:
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError(f"{path!r} is not a path under modules/, jupyter/ or images/")
    return path


TreePath = Annotated[str, AfterValidator(_check_path)]


class Pointer(Frozen):
    """The bytes behind a released ``stack/version-variant``, and who says that they are good."""

    image: Digest
    squashfs: Digest
    prefix: Digest
    plan_hash: Digest
    certificate: Digest


class Content(Frozen):
    """Files (by digest) and links (to paths in the store) that one owner has in a generation."""

    files: Mapping[TreePath, Digest]
    links: Mapping[TreePath, StorePath]

    def paths(self) -> Iterator[str]:
        """Every path, of files and of links."""
        yield from self.files
        yield from self.links


class Generation(Frozen):
    """`release.json`: everything that users see after one release or rollback.

    ``content`` is keyed by owner: ``stack/version-variant``, or the stack itself for what its
    versions share (the default). ``restores`` is the generation that a rollback went back to.
    """

    schema_: Literal["stackwright/generation/1"] = Field(alias="schema")
    number: int = Field(ge=1)
    parent: int | None
    created: Timestamp
    action: Literal["release", "rollback"]
    label: LabelText
    restores: int | None
    who: str
    why: str
    pointers: Mapping[str, Pointer]
    defaults: Mapping[str, str]
    content: Mapping[str, Content]

    @model_validator(mode="after")
    def _owners_are_released(self) -> Generation:
        stacks = {module.partition("/")[0] for module in self.pointers}
        if self.pointers.keys() - self.content.keys() or self.defaults.keys() - stacks:
            raise ValueError("a pointer without content, or a default without pointers")
        for owner, content in self.content.items():
            if owner not in self.pointers and owner not in self.defaults:
                raise ValueError(f"content of {owner}, which is not released")
            for path in content.paths():
                folder, _, rest = path.partition("/")
                inside = f"{owner.partition('/')[0]}/" if folder == "modules" else f"{owner}/"
                if folder != "jupyter" and not rest.startswith(inside):
                    raise ValueError(f"{path} is not a path of {owner}")
        return self

    @model_validator(mode="after")
    def _one_owner_for_each_path(self) -> Generation:
        owners: dict[str, str] = {}
        for owner, content in self.content.items():
            for path in content.paths():
                if owners.setdefault(path, owner) != owner:
                    raise ValueError(f"{path} belongs to {owners[path]} and to {owner}")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The digest of every file by its path, `release.json` left out."""
        return {
            path: digest
            for content in self.content.values()
            for path, digest in content.files.items()
        }

    @property
    def stack(self) -> str:
        """The stack that this generation changed."""
        return labels.parse(self.label).stack

    @property
    def system(self) -> str:
        """The system that the store serves."""
        return labels.parse(self.label).system


def baseline_module(history: Sequence[Generation], label: labels.Label) -> str | None:
    """Return the ``stack/version-variant`` of the last generation that stands where a label would.

    It is what users of the same module have; for a new version, the stack's default, if it is of
    the same variant, else the newest release of that variant. None where there is none.
    """
    if not history:
        return None
    current = history[-1]
    if label.module in current.pointers:
        return label.module
    default = current.defaults.get(label.stack)
    if default is not None and _is_version_of(f"{label.stack}/{default}@{label.system}", label):
        return f"{label.stack}/{default}"
    released = (g.label for g in reversed(history) if _is_version_of(g.label, label))
    modules = (labels.parse(text).module for text in released)
    return next((module for module in modules if module in current.pointers), None)


def yardsticks(
    history: Sequence[Generation], label: labels.Label
) -> Iterator[tuple[Generation, str]]:
    """What users have had where ``label`` would go, as generation and module, the newest first.

    What a rollback has undone is left out. None is there before the first release.
    """
    for number in reversed(_standing(history, label.stack)):
        module = baseline_module(history[:number], label)
        if module is not None:
            yield history[number - 1], module


def check_baseline(released: Artefact | None, label: labels.Label, certified: str | None) -> None:
    """Refuse a certificate that compares with something else than what it has to.

    Args:
        released: what ``label`` has to be compared with.
        label: what is to be released.
        certified: the image that the certificate compares with; None for a first release.

    Raises:
        StackwrightError: "not slower than what is released" was not measured.
    """
    if released is None or released.image.digest == certified:
        return
    found = f"compares with {certified}" if certified else "compares with nothing"
    module = labels.parse(released.label).module
    raise StackwrightError(
        f"the certificate {found}, but {module} ({released.image.digest}) was released before it",
        hint=f"measure against it: stackwright validate '{label}', then certify again",
        code=ExitCode.FAIL,
    )


def default_after(
    current: Generation | None,
    label: labels.Label,
    certified: str | None,
    *,
    make_default: bool | None,
) -> str:
    """Return the stack's default once ``label`` is released; the first one always is it.

    Args:
        certified: the image that the certificate compares with, if it compares at all.
        make_default: what was asked for; None leaves it to the comparison: only what was measured
            against the default takes its place.
    """
    kept = current.defaults.get(label.stack) if current else None
    if current is None or kept is None:
        return label.release
    default = current.pointers[f"{label.stack}/{kept}"]
    moves = certified == default.image if make_default is None else make_default
    return label.release if moves else kept


def next_release(
    current: Generation | None,
    label: labels.Label,
    pointer: Pointer,
    content: Mapping[str, Content],
    *,
    default: str,
    created: str,
    who: str,
    why: str,
) -> Generation:
    """Return the generation in which ``label`` points to ``pointer``.

    ``content`` is everything that users get then, by owner, the label's last.

    Raises:
        StackwrightError: the store serves another system, or a path belongs to another label.
    """
    check_system(current, label.system)
    _check_one_owner(content)
    return Generation.model_validate(
        {
            "schema": "stackwright/generation/1",
            "number": current.number + 1 if current else 1,
            "parent": current.number if current else None,
            "created": created,
            "action": "release",
            "label": str(label),
            "restores": None,
            "who": who,
            "why": why,
            "pointers": {**(current.pointers if current else {}), label.module: pointer},
            "defaults": {**(current.defaults if current else {}), label.stack: default},
            "content": content,
        }
    )


def next_rollback(
    history: Sequence[Generation],
    stack: str,
    content: Mapping[str, Content],
    *,
    created: str,
    who: str,
    why: str,
) -> Generation:
    """Return the generation in which ``stack`` is as it was before its last release.

    ``history`` is all of it: generation n at index n-1. ``content`` is everything that users get
    then, by owner; what it lacks is live no more. Other stacks stay as they are. A second rollback
    goes one release further back: it undoes a release, never another rollback.

    Raises:
        StackwrightError: the stack has no earlier release.
    """
    number = restore_point(history, stack)
    target, current = history[number - 1], history[-1]
    _check_one_owner(content)
    pointers = _without(current.pointers, stack) | _only(target.pointers, stack)
    defaults = _without(current.defaults, stack) | _only(target.defaults, stack)
    return current.model_copy(
        update={
            "number": current.number + 1,
            "parent": current.number,
            "created": created,
            "action": "rollback",
            "label": f"{stack}/{target.defaults[stack]}@{current.system}",
            "restores": target.number,
            "who": who,
            "why": why,
            "pointers": {m: pointer for m, pointer in pointers.items() if m in content},
            "defaults": {s: default for s, default in defaults.items() if s in content},
            "content": content,
        }
    )


def restore_point(history: Sequence[Generation], stack: str) -> int:
    """Return the number of the generation that a rollback of ``stack`` goes back to.

    Raises:
        StackwrightError: the stack was never released, or only once.
    """
    standing = _standing(history, stack)
    if len(standing) > 1:
        return standing[-2]
    found = "has no earlier release to go back to" if standing else "was never released here"
    raise StackwrightError(
        f"{stack} {found}", hint="see what was released: stackwright history", code=ExitCode.FAIL
    )


def _standing(history: Sequence[Generation], stack: str) -> list[int]:
    """The numbers of the stack's releases that no rollback has undone, the oldest first.

    A release that gave users what they had, in a store that has moved or by a new certificate,
    takes the place of the one before.
    """
    standing: list[int] = []
    for generation in history:
        if generation.stack != stack:
            continue
        if generation.action == "rollback":
            standing.pop()
        elif standing and _gives(history[standing[-1] - 1], stack) == _gives(generation, stack):
            standing[-1] = generation.number
        else:
            standing.append(generation.number)
    return standing


def _gives(generation: Generation, stack: str) -> tuple[dict[str, object], str | None]:
    """The bytes that users get of a stack's versions, and its default."""
    bytes_ = {
        module: (pointer.image, pointer.squashfs, pointer.prefix)
        for module, pointer in _only(generation.pointers, stack).items()
    }
    return {**bytes_}, generation.defaults.get(stack)


def _is_version_of(text: str, label: labels.Label) -> bool:
    found = labels.parse(text)
    return (found.stack, found.variant) == (label.stack, label.variant)


def check_system(current: Generation | None, system: str) -> None:
    """Refuse to mix systems: one store serves one machine.

    Raises:
        StackwrightError: the store has releases for another system.
    """
    if current and current.system != system:
        raise StackwrightError(
            f"this store serves the system {current.system}, not {system}",
            hint="give the other system's store: --store DIR",
        )


def by_owner(module: str, content: Content) -> dict[str, Content]:
    """Return the content of a module, and that of its stack: `.modulerc.lua`, told by its path."""
    stack = module.partition("/")[0]
    shared = f"modules/{stack}/.modulerc.lua"
    own = {path: digest for path, digest in content.files.items() if path != shared}
    return {
        module: Content(files=own, links=content.links),
        stack: Content(files={p: d for p, d in content.files.items() if p == shared}, links={}),
    }


def _only(values: Mapping[str, _T], stack: str) -> dict[str, _T]:
    """Return what belongs to the stack or to one of its versions."""
    return {name: value for name, value in values.items() if name.partition("/")[0] == stack}


def _without(values: Mapping[str, _T], stack: str) -> dict[str, _T]:
    return {name: value for name, value in values.items() if name.partition("/")[0] != stack}


def _check_one_owner(content: Mapping[str, Content]) -> None:
    owners: dict[str, str] = {}
    for owner, path in ((owner, path) for owner, c in content.items() for path in c.paths()):
        if owners.setdefault(path, owner) != owner:
            raise StackwrightError(
                f"{path} belongs to {owners[path]} already",
                hint="choose another name in the stack file, such as the kernel's",
            )
