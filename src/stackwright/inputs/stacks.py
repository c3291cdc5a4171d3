"""Stack files: what is shipped. One YAML file per stack, validated as it is read.

A stack has versions and variants. What a variant holds is written once under ``variants``; a
version lists the variants it comes in and what differs there. :func:`release_of` merges the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stackwright.inputs.environment import Setting
from stackwright.inputs.fields import (
    Folder,
    Line,
    Model,
    Name,
    Prose,
    Text,
    Url,
    VariantName,
    VersionName,
)
from stackwright.inputs.requirements import PROVIDERS, Need
from stackwright.inputs.suggest import did_you_mean

Status = Literal["ga", "deprecated", "retired"]
Mpi = Literal["mpich", "openmpi", "none"]
Architecture = Literal["x86_64", "aarch64", "ppc64le"]
Vendor = Literal["nvidia", "amd", "intel"]
Kind = Literal["framework", "tools"]
ProviderName = Annotated[str, Field(json_schema_extra={"enum": sorted(PROVIDERS)})]


class Variant(Model):
    """How a stack is built for one kind of machine, whatever its version.

    Args:
        wheels: the variant whose wheels are installed, in place of all other keys but provider
            and summary.
        common: a set of packages that it shares with other stacks (``stacks/common``).
        sources: what is built from sources into it (``recipes/sources``); where Spack builds it,
            what has its patches.
        externals: packages that Spack takes from the system's builder in place of building them;
            with ``python`` among them, the stack's Python is the base's.
        architectures: those for which it can be had; without any, all.
        why: the reason why it can be had for these alone.
        suite: what it has to pass, where that isn't the stack's own.
    """

    provider: ProviderName = "wheel"
    summary: Line | None = None
    wheels: VariantName | None = None
    common: Name | None = None
    frameworks: tuple[Line, ...] = ()
    packages: tuple[Line, ...] = ()
    sources: tuple[Name, ...] = ()
    externals: tuple[Name, ...] = ()
    environment: tuple[Setting, ...] = ()
    tuning: tuple[Name, ...] = ()
    overlay: Folder | None = None
    mpi: Mpi = "none"
    gpu: Vendor | None = None
    architectures: tuple[Architecture, ...] = ()
    why: Line | None = None
    suite: Name | None = None

    @model_validator(mode="after")
    def _why_what(self) -> Variant:
        if self.why and not self.architectures:
            raise ValueError("'why' is the reason for 'architectures', and there are none")
        return self

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, value: str) -> str:
        if value not in PROVIDERS:
            legal = did_you_mean(value, PROVIDERS) or f" (legal: {', '.join(sorted(PROVIDERS))})"
            raise ValueError(f"unknown provider '{value}'{legal}")
        return value


class Changes(Model):
    """What a version changes in a variant.

    A requirement replaces the one of the same package, a setting the one of the same variable;
    anything else replaces the variant's value.
    """

    frameworks: tuple[Line, ...] = ()
    packages: tuple[Line, ...] = ()
    environment: tuple[Setting, ...] = ()
    tuning: tuple[Name, ...] | None = None
    overlay: Folder | None = None
    mpi: Mpi | None = None


class Version(Model):
    """One version of a stack, the variants that it comes in, and why its status is what it is."""

    status: Status
    why: Line | None = None
    end_of_life: date | None = None
    python: Annotated[str, Text(r"3\.[0-9]{1,2}", "a Python version such as '3.11'")] | None = None
    variants: Annotated[Mapping[VariantName, Changes], Field(min_length=1)]


class Module(Model):
    """What the modulefile says."""

    help: Prose
    whatis: tuple[Line, ...] = ()
    conflicts: tuple[Name, ...] = ()
    family: Name | None = None


class Kernel(Model):
    """What Jupyter shows; the version and the variant are put behind it."""

    display_name: Line


class Profile(Model):
    """Settings that belong together, by a name that variants refer to."""

    summary: Line
    environment: Annotated[tuple[Setting, ...], Field(min_length=1)]


class Stack(Model):
    """A bundle that is shipped.

    Args:
        kind: ``framework``, or ``tools`` for what has no framework that a suite could ask.
        default: the variant that a label means which names none, where there are several.
        kernel: what Jupyter shows; without, it shows none.
    """

    name: Name
    kind: Kind = "framework"
    summary: Line
    homepage: Url
    maintainers: tuple[Line, ...] = ()
    python: Annotated[str, Text(r"3\.[0-9]{1,2}", "a Python version such as '3.11'")]
    versions: Annotated[Mapping[VersionName, Version], Field(min_length=1)]
    variants: Annotated[Mapping[VariantName, Variant], Field(min_length=1)]
    tuning: Mapping[Name, Profile] = {}
    default: VariantName | None = None
    module: Module
    kernel: Kernel | None = None
    suite: Name = "certify"

    def machines_of(self, variant: str) -> Variant:
        """The variant that says which machines a variant is for: itself, or whose wheels it has."""
        wheels = self.variants[variant].wheels
        return self.variants[variant if wheels is None else wheels]

    def suite_of(self, variant: str) -> str:
        """The suite that a variant has to pass."""
        return self.machines_of(variant).suite or self.suite

    def releases(self) -> Iterator[tuple[str, str]]:
        """Every version with each variant it comes in."""
        for version, entry in self.versions.items():
            for variant in entry.variants:
                yield version, variant


@dataclass(frozen=True)
class Release:
    """A version and a variant of a stack, merged; the same fields as :class:`Variant`."""

    python: str
    status: Status
    end_of_life: date | None
    provider: str
    frameworks: tuple[Need, ...]
    packages: tuple[Need, ...]
    common: str | None
    sources: tuple[str, ...]
    settings: tuple[Setting, ...]
    overlay: str | None
    mpi: Mpi
    gpu: Vendor | None
    externals: tuple[str, ...] = ()
    wheels: str | None = None


def release_of(stack: Stack, version: str, variant: str) -> Release:
    """Merge what a version changes into the variant that it changes."""
    base, entry = stack.variants[variant], stack.versions[version]
    if base.wheels is not None:
        same = release_of(stack, version, base.wheels)
        return replace(same, provider=base.provider, wheels=base.wheels)
    changes = entry.variants[variant]
    read = PROVIDERS[base.provider].read
    frameworks = {need.name: need for need in map(read, (*base.frameworks, *changes.frameworks))}
    packages = {need.name: need for need in map(read, (*base.packages, *changes.packages))}
    profiles = base.tuning if changes.tuning is None else changes.tuning
    tuned = [setting for name in profiles for setting in stack.tuning[name].environment]
    settings = {s.name: s for s in (*tuned, *base.environment, *changes.environment)}
    return Release(
        python=entry.python or stack.python,
        status=entry.status,
        end_of_life=entry.end_of_life,
        provider=base.provider,
        frameworks=tuple(frameworks[name] for name in sorted(frameworks)),
        packages=tuple(packages[name] for name in sorted(packages)),
        common=base.common,
        sources=tuple(sorted(base.sources)),
        settings=tuple(settings[name] for name in sorted(settings)),
        overlay=changes.overlay or base.overlay,
        mpi=changes.mpi or base.mpi,
        gpu=base.gpu,
        externals=tuple(sorted(base.externals)),
    )
