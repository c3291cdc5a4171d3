"""Plans: a label resolved against stack, system, templates and lock. Equal inputs, equal hash.

A plan holds everything that decides the artefact and nothing else: no path of this machine, no
time, and no fact that may change without a rebuild (a version's status, the store, the suite).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from stackwright.canonical import hash_bytes, hash_value
from stackwright.errors import StackwrightError
from stackwright.inputs.environment import Setting, cautions
from stackwright.inputs.fields import Model
from stackwright.inputs.injections import Injection
from stackwright.inputs.labels import Label
from stackwright.inputs.requirements import PROVIDERS, read_pep508
from stackwright.inputs.site import Site
from stackwright.inputs.sources import SOURCES
from stackwright.inputs.spacksite import External, SpackSite
from stackwright.inputs.stacks import Kernel, Module, Mpi, Release, Stack, Vendor, release_of
from stackwright.inputs.systems import Base, OperatingSystem


class Variable(Model):
    """A variable that the image and the module set."""

    name: str
    value: str
    why: str


class Overlay(Model):
    """A folder of the site whose files are copied into the prefix."""

    folder: str
    digest: str


class SourceBuild(Model):
    """What is built from sources: everything that decides its wheel but the stack and the lock."""

    name: str
    requirement: str
    needs: tuple[str, ...]
    build: tuple[str, ...]
    toolchain: tuple[str, ...]
    patches: Mapping[str, str]
    environment: Mapping[str, str]


class GpuKind(Model):
    """What a build must know of a GPU."""

    vendor: Vendor
    model: str


class Fabric(Model):
    """What a build must know of the network."""

    name: str
    provider: str


class Machine(Model):
    """The facts of the system that decide what is built."""

    target: str
    os: OperatingSystem
    gpus: tuple[GpuKind, ...]
    mpi: str
    fabric: Fabric | None
    modules: str
    injections: tuple[Injection, ...]


class SpackFacts(Model):
    """What decides a build by Spack beside what decides any: what its site has, and its lock.

    ``externals`` are those that the stack takes from the builder; ``patched`` names the source, by
    the package that has its patches.
    """

    wheels: str | None
    externals: tuple[External, ...]
    patched: Mapping[str, str]
    site: SpackSite
    lock_digest: str | None


class Plan(Model):
    """Everything that decides an artefact. Lists are sorted where order in a file is no input."""

    schema_: Literal["stackwright/plan/1"] = Field(default="stackwright/plan/1", alias="schema")
    stack: str
    version: str
    variant: str
    system: str
    summary: str
    homepage: str
    provider: str
    python: str
    common: tuple[str, ...]
    frameworks: tuple[str, ...]
    packages: tuple[str, ...]
    sources: tuple[SourceBuild, ...]
    mpi: Mpi
    gpu: Vendor | None
    environment: tuple[Variable, ...]
    overlay: Overlay | None
    module: Module
    kernel: Kernel | None
    base: Base
    machine: Machine
    templates: Mapping[str, str]
    lock_digest: str | None
    spack: SpackFacts | None

    @property
    def label(self) -> Label:
        """The label that was resolved."""
        return Label(self.stack, self.version, self.variant, self.system)

    @property
    def from_source(self) -> bool:
        """Whether Spack makes its packages from source, not from another variant's wheels."""
        return self.spack is not None and self.spack.wheels is None

    @property
    def toolchain(self) -> tuple[str, ...]:
        """The Debian packages beside the base's in which sources are compiled, if any are."""
        if self.from_source and self.spack and self.spack.site.builder:
            return tuple(sorted(self.spack.site.builder.packages))
        headers = [f"libpython{self.python}-dev"] if self.sources else []
        return tuple(sorted({*headers, *chain(*(source.toolchain for source in self.sources))}))

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """The requirements of each layer of wheels, the lowest first.

        What stacks have in common lies below, then each framework by itself: so two stacks that
        agree in some of it have these layers in common, byte by byte.
        """
        if self.from_source:
            return {}
        needs = tuple(text for source in self.sources for text in source.needs)
        return {
            **({"common": self.common} if self.common else {}),
            **{read_pep508(text).name: (text,) for text in self.frameworks},
            "packages": (*self.packages, *needs),
        }

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
        common=_normal(site.common(release.common).packages) if release.common else (),
        sources=tuple(_source(site, name, release) for name in _built(release)),
        mpi=release.mpi,
        gpu=release.gpu,
        environment=tuple(_variables(site, settings_of(site, label))),
        overlay=_overlay(site, release.overlay),
        module=_module(stack, label.variant),
        kernel=stack.kernel,
        base=system.base.model_copy(update={"packages": tuple(sorted(system.base.packages))}),
        machine=_machine(site, system.name),
        templates={name: site.content_hash(name) for name in PROVIDERS[release.provider].templates},
        lock_digest=site.lock_hash(label),
        spack=_spack(site, label, release),
    )


def _module(stack: Stack, variant: str) -> Module:
    """What the modulefile says: the help is the default variant's, others add their summary."""
    if stack.default in (None, variant):
        return stack.module
    help_ = f"{stack.module.help}\nVariant {variant}: {stack.variants[variant].summary}\n"
    return stack.module.model_copy(update={"help": help_})


def plan_hash(plan: Plan) -> str:
    """``sha256:<64 hex>`` of the plan's canonical JSON."""
    return hash_value(plan.to_json())


def settings_of(site: Site, label: Label) -> tuple[Setting, ...]:
    """The variables that a label sets, by name; where both set one, the system knows better."""
    release = release_of(site.stack(label.stack), label.version, label.variant)
    both = (*release.settings, *site.system(label.system).environment)
    settings = {setting.name: setting for setting in both}
    return tuple(settings[name] for name in sorted(settings))


def warnings(
    site: Site, label: Label, locked: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """What is unwise in a label by the environment policy, and what its system does otherwise.

    The policy's rules about versions go by those that the stack pins, or its lock.

    Args:
        locked: the versions of packages in its lock, where it has one.
    """
    release = release_of(site.stack(label.stack), label.version, label.variant)
    pins = dict(locked) | {
        need.name: need.version
        for need in chain(release.frameworks, release.packages)
        if need.version is not None
    }
    found = cautions(settings_of(site, label), site.environment, site.environment.versions(pins))
    return (*_overridden(site, label, release), *_unlike(site, label, release), *found)


def _overridden(site: Site, label: Label, release: Release) -> Iterator[str]:
    asked = {setting.name: setting.value for setting in release.settings}
    for index, setting in enumerate(site.system(label.system).environment):
        if asked.get(setting.name, setting.value) != setting.value:
            where = site.place_in_system(label.system, "environment", index)
            instead = f"{setting.value}, not {asked[setting.name]} as {label.stack} has it"
            yield f"{where}: {setting.name}={instead}"


def _unlike(site: Site, label: Label, release: Release) -> Iterator[str]:
    system = site.system(label.system)
    if system.mpi and release.mpi not in ("none", system.mpi.abi):
        where = site.place_in_system(system.name, "mpi")
        what = f"{system.mpi.name} has another ABI than the {release.mpi} of {label.stack}"
        yield f"{where}: {what}, and can't take its place"
    if system.module.system == "tcl":
        where = site.place_in_system(system.name, "module", "system")
        yield f"{where}: only Lmod reads the modulefile, which is Lua"


def _variables(site: Site, settings: Iterable[Setting]) -> Iterator[Variable]:
    known = site.environment.variables
    for setting in settings:
        why = setting.why or known[setting.name].why
        yield Variable(name=setting.name, value=setting.value, why=why)


def _normal(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(read_pep508(text).text for text in texts))


def _built(release: Release) -> tuple[str, ...]:
    """The sources of which wheels are built: Spack has recipes of its own, and patches at most."""
    return () if release.provider == "spack" else release.sources


def _source(site: Site, name: str, release: Release) -> SourceBuild:
    source = site.source(name)
    return SourceBuild(
        name=name,
        requirement=read_pep508(source.requirement).text,
        needs=_normal(source.needs),
        build=_normal(source.build),
        toolchain=tuple(sorted(source.toolchain)),
        patches={file: hash_bytes(data) for file, data in site.patches(source).items()},
        environment=source.environment_beside({need.name for need in release.frameworks}),
    )


def _overlay(site: Site, folder: str | None) -> Overlay | None:
    return Overlay(folder=folder, digest=site.content_hash(folder)) if folder else None


def _spack(site: Site, label: Label, release: Release) -> SpackFacts | None:
    if release.provider != "spack":
        return None
    found = site.system(label.system).spack
    if found is None:
        raise StackwrightError(
            f"{label} is installed by Spack, and its system says nothing of it",
            where=site.place_in_system(label.system),
            hint="name its compilers under 'spack': docs/spack.md",
        )
    offered = found.builder.externals if found.builder else ()
    return SpackFacts(
        wheels=release.wheels,
        externals=tuple(each for each in offered if each.name in release.externals),
        patched=_patched(site, label, release),
        site=found,
        lock_digest=site.spack_lock_hash(label),
    )


def _patched(site: Site, label: Label, release: Release) -> dict[str, str]:
    patched: dict[str, str] = {}
    for name in release.sources:
        found = site.source(name).spack
        where = site.place_in_stack(label.stack, "variants", label.variant, "sources")
        if found is None:
            raise StackwrightError(
                f"'{name}' doesn't say which package of Spack's gets its patches",
                where=where,
                hint=f"name it in {SOURCES}/{name}.yaml: spack: {{package: py-{name}}}",
            )
        if found.package in patched:
            both = f"'{patched[found.package]}' and '{name}'"
            raise StackwrightError(f"{both} both have patches for {found.package}", where=where)
        patched[found.package] = name
    return patched


def _machine(site: Site, name: str) -> Machine:
    system = site.system(name)
    kinds = {(gpu.vendor, gpu.model) for gpu in system.gpus}
    fabric = system.fabric
    return Machine(
        target=system.cpu.target,
        os=system.os,
        gpus=tuple(GpuKind(vendor=vendor, model=model) for vendor, model in sorted(kinds)),
        mpi=system.mpi.name if system.mpi else "none",
        fabric=Fabric(name=fabric.name, provider=fabric.provider) if fabric else None,
        modules=system.module.system,
        injections=site.injections(name),
    )
