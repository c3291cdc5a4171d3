"""Labels, ``stack/version-variant@system``: the grammar, and how a pattern selects some.

The variant is what follows the last dash, so a version may hold dots and dashes (``2.14.0-rc1``)
and a variant may not. Every part is also a folder, a module name and an image tag.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stackwright.errors import StackwrightError
from stackwright.inputs.suggest import did_you_mean

NAME = r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"
VERSION = r"[0-9][0-9A-Za-z]*(?:[._-][0-9A-Za-z]+)*"
VARIANT = r"[a-z][a-z0-9_]*"

_LABEL = re.compile(f"({NAME})/({VERSION})-({VARIANT})@({NAME})")
_PATTERN = re.compile(r"([^/@\s]+)(?:/([^/@\s]+))?(?:@([^/@\s]+))?")
_SHOWN = 12


@dataclass(frozen=True, order=True)
class Label:
    """One version and variant of a stack, for one system."""

    stack: str
    version: str
    variant: str
    system: str

    @property
    def release(self) -> str:
        """``version-variant``: what follows the slash in a module's name."""
        return f"{self.version}-{self.variant}"

    @property
    def module(self) -> str:
        """``stack/version-variant``: what a user loads."""
        return f"{self.stack}/{self.release}"

    def __str__(self) -> str:
        """The label as users type it."""
        return f"{self.module}@{self.system}"


def parse(text: str) -> Label:
    """Read a complete label.

    Raises:
        StackwrightError: the text isn't ``stack/version-variant@system``.
    """
    match = _LABEL.fullmatch(text)
    if match is None:
        raise StackwrightError(
            f"{text!r} is not a label",
            hint="write stack/version-variant@system, such as pytorch/2.13.0-cpu@local",
        )
    return Label(*match.groups())


def parts(pattern: str) -> tuple[str, str | None, str | None]:
    """The stack, release and system of a pattern; None for what is left out.

    Raises:
        StackwrightError: the text has more than these parts, or blanks.
    """
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        raise StackwrightError(
            f"{pattern!r} is not a label or a pattern of labels",
            hint="write stack/version-variant@system; each part may hold *, such as 'pytorch/*@*'",
        )
    stack, release, system = match.groups()
    return stack, release, system


def select(
    pattern: str,
    known: Collection[Label],
    here: Collection[str] = (),
    refused: Mapping[Label, str] | None = None,
) -> tuple[Label, ...]:
    """The labels that a pattern selects, sorted.

    Each part of the pattern may hold ``*``, ``?`` and ``[...]``. Without ``/...`` every release of
    the stack is meant, without the variant every variant. Without ``@...`` the only system of
    ``here`` is meant; if no label has one of them, the only system of all.

    Args:
        here: the systems that this machine may belong to.
        refused: the labels that can't be had, and why, in words that follow the stack's name.

    Raises:
        StackwrightError: nothing matches, the system is left out and several match, or the text
            is no pattern.
    """
    _, _, system = parts(pattern)
    chosen = matching(pattern, known)
    if system is None:
        chosen = [label for label in chosen if label.system in here] or chosen
    systems = {label.system for label in chosen}
    if chosen and (system or len(systems) == 1):
        return tuple(chosen)
    unmet = not systems.intersection(here)  # else one of this machine's can be had
    for label in matching(pattern, refused or {}):
        if (unmet and label.system in here) or (system and not chosen):
            raise StackwrightError(
                f"{label.system} can't take {label.module}: it {(refused or {})[label]}",
                hint=f"stackwright list '{label.stack}@*'",
            )
    if not chosen:
        raise _no_match(pattern, known)
    raise StackwrightError(
        f"'{pattern}' doesn't say which system: {', '.join(sorted(systems))}",
        hint=f"name one: '{pattern}@{min(systems)}', or once for all: export"
        f" STACKWRIGHT_SYSTEM=NAME; `list` and `plan` take '{pattern}@*', too",
    )


def pick(
    pattern: str,
    known: Collection[Label],
    here: Collection[str] = (),
    refused: Mapping[Label, str] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Label:
    """The one label that a pattern selects, as :func:`select` does.

    Args:
        defaults: by stack, the variant that is meant where several match.

    Raises:
        StackwrightError: none or several match; the hint lists the candidates.
    """
    chosen = select(pattern, known, here, refused)
    usual = [label for label in chosen if label.variant == (defaults or {}).get(label.stack)]
    if len(chosen) > 1 and len(usual) == 1:
        return usual[0]
    if len(chosen) > 1:
        raise StackwrightError(f"'{pattern}' is ambiguous", hint=f"choose one of: {_list(chosen)}")
    return chosen[0]


def matching(pattern: str, labels: Iterable[Label]) -> list[Label]:
    """The labels that a pattern fits, sorted; on every system, if it names none."""
    stack, release, system = parts(pattern)
    return sorted(
        label
        for label in labels
        if fnmatchcase(label.stack, stack)
        and fnmatchcase(label.system, system or "*")
        and _release_matches(label, release or "*")
    )


def _no_match(pattern: str, known: Collection[Label]) -> StackwrightError:
    """The part of the pattern that is to blame, if it is one alone; else the whole."""
    stack, release, system = parts(pattern)
    of_stack = [label for label in known if fnmatchcase(label.stack, stack)]
    if of_stack and release and not any(_release_matches(label, release) for label in of_stack):
        there = {label.release: label.version for label in of_stack}
        guess = did_you_mean(release, {*there, *there.values()})
        what = f"{stack} has no version '{release}'{guess}"
        return StackwrightError(what, hint=f"it has: {', '.join(sorted(there))}")
    systems = {label.system for label in known}
    if of_stack and system and not any(fnmatchcase(name, system) for name in systems):
        what = f"no system '{system}'{did_you_mean(system, systems)}"
        return StackwrightError(f"{what} has {stack}", hint=_known(of_stack))
    guess = did_you_mean(pattern, {str(x) for x in known} | {x.stack for x in known})
    return StackwrightError(f"no label matches '{pattern}'{guess}", hint=_known(known))


def _release_matches(label: Label, pattern: str) -> bool:
    return fnmatchcase(label.release, pattern) or fnmatchcase(label.version, pattern)


def _known(known: Collection[Label]) -> str:
    if not known:
        return "this site has no stack that any of its systems can take; see 'stackwright list'"
    return f"there is: {_list(sorted(known))}"


def _list(labels: Iterable[Label]) -> str:
    names = [str(label) for label in labels]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
