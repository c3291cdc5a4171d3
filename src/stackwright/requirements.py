"""What a provider calls a requirement: one entry per provider, so that nothing else branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Need:
    """One requirement: its name in the provider's spelling, its normal form, its exact version."""

    name: str
    text: str
    version: str | None


@dataclass(frozen=True)
class Provider:
    """How a framework gets into a stack. ``read`` raises ValueError with one line."""

    read: Callable[[str], Need]
    example: str


def read_pep508(text: str) -> Need:
    """A Python requirement (PEP 508) without URL and without environment marker.

    Raises:
        ValueError: it isn't one; the lock, not the requirement, says which file is installed.
    """
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is not a requirement: it holds special characters")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is not a requirement: {str(error).splitlines()[0]}") from error
    if requirement.url or requirement.marker:
        raise ValueError(f"{text!r} must be a name and versions only, without URL and marker")
    requirement.name = canonicalize_name(requirement.name)
    exact = [
        s.version for s in requirement.specifier if s.operator == "==" and "*" not in s.version
    ]
    return Need(requirement.name, str(requirement), exact[0] if exact else None)


PROVIDERS: Mapping[str, Provider] = {"wheel": Provider(read_pep508, "torch==2.13.0")}
