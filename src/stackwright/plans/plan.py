"""Plans: a label resolved against stack, system, templates and lock. Equal inputs, equal hash.

A plan holds everything that decides the artefact and nothing else: no path of this machine, no
time, and no fact that may change without a rebuild (a version's status, the store, the suite).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Literal

from pydantic import Field

from stackwright.canonical import hash_value
from stackwright.inputs.environment import cautions
from stackwright.inputs.fields import Model
from stackwright.inputs.labels import Label
from stackwright.inputs.requirements import PROVIDERS
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Kernel, Module, Mpi, Release, Vendor, release_of
from stackwright.inputs.systems import Base, Fabric, Injection, OperatingSystem, System


class Variable(Model):
    """A variable that the image and the module set."""

    name: str
    value: str
    why: str


class Overlay(Model):
    """A folder of the site whose files are copied into the prefix."""

    folder: str
    digest: str


class GpuKind(Model):
    """What a build must know of a GPU."""

    vendor: Vendor
    model: str


class Machine(Model):
    """The facts of the system that decide what is built."""

    target: str
    os: OperatingSystem
    gpus: tuple[GpuKind, ...]
    mpi: str
    fabric: Fabric | None
    modules: str
    injections: tuple[Injection, ...]


class Plan(Model):
    """Everything that decides an artefact. Lists are sorted: their order in a file is no input."""

    schema_: Literal["stackwright/plan/1"] = Field(default="stackwright/plan/1", alias="schema")
    stack: str
    version: str
    variant: str
    system: str
    summary: str
    homepage: str
    provider: str
    python: str
    frameworks: tuple[str, ...]
    packages: tuple[str, ...]
    mpi: Mpi
    gpu: Vendor | None
    environment: tuple[Variable, ...]
    overlay: Overlay | None
    module: Module
    kernel: Kernel
    base: Base
    machine: Machine
    templates: Mapping[str, str]
    lock_digest: str | None

    @property
    def label(self) -> Label:
        """The label that was resolved."""
        return Label(self.stack, self.version, self.variant, self.system)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values; :func:`plan_hash` hashes their canonical JSON."""
        return self.model_dump(mode="json", by_alias=True)


def resolve(site: Site, label: Label) -> Plan:
    """Resolve a label that the site knows.

    Raises:
        StackwrightError: a file of the site has a mistake, or a folder it names is missing.
    """
    stack, system = site.stack(label.stack), site.system(label.system)
    release = release_of(stack, label.version, label.variant)
    return Plan(
        stack=stack.name,
        version=label.version,
        variant=label.variant,
        system=system.name,
        summary=stack.summary,
        homepage=stack.homepage,
        provider=release.provider,
        python=release.python,
        frameworks=tuple(need.text for need in release.frameworks),
        packages=tuple(need.text for need in release.packages),
        mpi=release.mpi,
        gpu=release.gpu,
        environment=tuple(_variables(site, release)),
        overlay=_overlay(site, release.overlay),
        module=stack.module,
        kernel=stack.kernel,
        base=system.base.model_copy(update={"packages": tuple(sorted(system.base.packages))}),
        machine=_machine(system),
        templates={name: site.content_hash(name) for name in PROVIDERS[release.provider].templates},
        lock_digest=site.lock_hash(label),
    )


def plan_hash(plan: Plan) -> str:
    """``sha256:<64 hex>`` of the plan's canonical JSON."""
    return hash_value(plan.to_json())


def warnings(site: Site, label: Label) -> tuple[str, ...]:
    """What the environment policy calls unwise in a label, given the versions it pins."""
    release = release_of(site.stack(label.stack), label.version, label.variant)
    pins = {
        need.name: need.version
        for need in chain(release.frameworks, release.packages)
        if need.version is not None
    }
    return tuple(cautions(release.settings, site.environment, site.environment.versions(pins)))


def _variables(site: Site, release: Release) -> Iterator[Variable]:
    known = site.environment.variables
    for setting in release.settings:
        why = setting.why or known[setting.name].why
        yield Variable(name=setting.name, value=setting.value, why=why)


def _overlay(site: Site, folder: str | None) -> Overlay | None:
    return Overlay(folder=folder, digest=site.content_hash(folder)) if folder else None


def _machine(system: System) -> Machine:
    kinds = {(gpu.vendor, gpu.model) for gpu in system.gpus}
    return Machine(
        target=system.cpu.target,
        os=system.os,
        gpus=tuple(GpuKind(vendor=vendor, model=model) for vendor, model in sorted(kinds)),
        mpi=system.mpi,
        fabric=system.fabric,
        modules=system.module.system,
        injections=tuple(sorted(system.injections, key=lambda injection: injection.name)),
    )
