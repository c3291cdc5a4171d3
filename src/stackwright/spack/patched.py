"""Packages of Spack's own with patches of ours, in a repository that comes before Spack's.

Each derives from Spack's package and adds what ``recipes/sources`` says of it, for the version that
the patches are of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.site import Site
from stackwright.inputs.sources import reason_of
from stackwright.plans.plan import Plan
from stackwright.spack.wheelrepo import class_name

REPOSITORY = "patched"
"""The namespace of these packages, and the name of their repository."""


@dataclass(frozen=True)
class Patch:
    """A patch, why there is one, and the specs for any of which Spack applies it."""

    name: str
    reason: str
    when: tuple[str, ...]
    content: bytes


@dataclass(frozen=True)
class PatchedPackage:
    """What the template of a package with patches may use.

    Args:
        name: as Spack calls it, such as ``py-horovod``.
        source: whose patches these are.
        patches: in the order in which they are applied.
    """

    name: str
    class_name: str
    source: str
    patches: tuple[Patch, ...]


def patched_packages(plan: Plan, site: Site) -> tuple[PatchedPackage, ...]:
    """The packages of a plan that have patches of ours.

    Raises:
        StackwrightError: a file of a source has a mistake.
    """
    patched = plan.spack.patched if plan.spack else {}
    return tuple(
        PatchedPackage(package, class_name(package), source, tuple(_patches(site, source)))
        for package, source in sorted(patched.items())
    )


def _patches(site: Site, name: str) -> Iterator[Patch]:
    source = site.source(name)
    version = f"@={read_pep508(source.requirement).version}"
    assert source.spack is not None, name  # noqa: S101  (else no plan has it)
    for file, content in site.patches(source).items():
        if file not in source.spack.without:
            conditions = source.spack.when.get(file, ("",))
            when = tuple(f"{version} {condition}".rstrip() for condition in conditions)
            yield Patch(file, reason_of(content), when, content)
