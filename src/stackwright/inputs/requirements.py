"""What a provider calls a requirement: one entry per provider, so that nothing else branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from stackwright.inputs.spackspecs import read_spec

_EXACT = ("==", "===")
"""The second compares text: `torch==2.13.0` takes 2.13.0+cpu as well, where an index has it."""

NO_DEPS = " --no-deps"
"""Behind a requirement: it is installed without what it says that it needs, as pip's option is."""


@dataclass(frozen=True)
class Need:
    """One requirement: its name in the provider's spelling, its normal form, its exact version."""

    name: str
    text: str
    version: str | None


@dataclass(frozen=True)
class Provider:
    """How a framework gets into a stack.

    ``read`` raises ValueError with one line; ``templates`` are the site's files and folders that
    decide what is built.
    """

    read: Callable[[str], Need]
    example: str
    templates: tuple[str, ...]


def read_pep508(text: str) -> Need:
    """A Python requirement (PEP 508) without URL and without environment marker.

    `--no-deps` may stand behind it, for a package whose dependency another one takes the place of:
    tf-keras asks for tensorflow, and would bring it beside tensorflow-cpu.

    Raises:
        ValueError: it isn't one; the lock, not the requirement, says which file is installed.
    """
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is not a requirement: it holds special characters")
    try:
        requirement = Requirement(text.removesuffix(NO_DEPS))
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is not a requirement such as 'numpy>=2,<3'") from error
    if requirement.url or requirement.marker:
        raise ValueError(f"{text!r} must be a name and versions only, without URL and marker")
    name = canonicalize_name(requirement.name)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    pins = [pin.version for pin in requirement.specifier if pin.operator in _EXACT]
    exact = next((version for version in pins if "*" not in version), None)
    versions = ",".join(sorted(str(pin) for pin in requirement.specifier))
    alone = NO_DEPS if text.endswith(NO_DEPS) else ""
    return Need(name, f"{name}{extras}{versions}{alone}", exact)


def read_spack(text: str) -> Need:
    """A spec of Spack: a name, a version and variants.

    Raises:
        ValueError: it isn't one.
    """
    spec = read_spec(text)
    return Need(spec.name, str(spec), spec.exact)


# Every prefix carries its tree hash, so the script that computes it decides what is built too.
TREE_HASH = "validation/cases/tree_hash.py"

PROVIDERS: Mapping[str, Provider] = {
    "wheel": Provider(read_pep508, "torch==2.13.0", ("images", "modules", TREE_HASH)),
    "spack": Provider(read_spack, "py-torch@2.9.0", ("images", "modules", "recipes", TREE_HASH)),
}
