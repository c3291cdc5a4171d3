"""Whether a lock of Spack holds what was asked for: a solver may leave out what it likes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.inputs.spackspecs import Spec, read_spec
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.spack.blame import place_of
from stackwright.spack.environment import facts_of, source_roots
from stackwright.spack.lockfile import Node, nodes
from stackwright.spack.patched import REPOSITORY
from stackwright.spack.wheelrepo import spack_name, spack_version

_Wrong = tuple[str, str]
"""A package, and what is to be said of it."""

_SHOWN = 5
_OF_THE_BASE = {"glibc", "musl", "python"}
"""What Spack finds by the compiler, and the Python with which wheels are installed."""


def check(found: Mapping[str, Any], plan: Plan, lock: Lock | None, site: Site) -> None:
    """Check that a ``spack.lock`` holds what was asked for.

    That is every wheel, or every spec with its version and variants; what the system requires of
    packages; where the recipes are from that have patches of ours; that all are releases; the
    processor of every package; and the GPU's architecture of every one that is built for GPUs.

    Raises:
        StackwrightError: a solver left something out; at the spec that asks for it, if one does.
    """
    asked = _lost_wheels(found, lock) if lock else _lost_specs(found, plan)
    made = [*_other_machine(found, plan), *_not_made(found, plan), *_loose(found, plan)]
    if wrong := [*asked, *made]:
        shown = [f"  {package}{what}" for package, what in wrong[:_SHOWN]]
        more = [f"  and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise StackwrightError(
            "\n".join(["Spack's lock is not what was asked for:", *shown, *more]),
            where=place_of((package for package, _ in wrong), plan, site),
            hint=_relock(plan) if lock else "ask for what Spack can give",
        )


def _relock(plan: Plan) -> str:
    wheels = Label(plan.stack, plan.version, facts_of(plan).wheels or "", plan.system)
    return f"lock the wheels anew: stackwright lock --wheels-only '{wheels}'"


def _lost_wheels(found: Mapping[str, Any], lock: Lock) -> Iterator[_Wrong]:
    there = {node.name: node for node in nodes(found)}
    for wheel in lock.wheels.installed:
        node, version = there.get(spack_name(wheel.name)), spack_version(wheel.version)
        if node is None:
            yield spack_name(wheel.name), " is missing"
        elif node.version != version:
            yield node.name, f" is {node.version}, not {version}"


def _lost_specs(found: Mapping[str, Any], plan: Plan) -> Iterator[_Wrong]:
    roots = {root["hash"] for root in found["roots"]}
    there = {node.name: node for node in nodes(found) if node.hash in roots}
    for spec in map(read_spec, source_roots(plan)):
        node = there.get(spec.name)
        if node is None:
            yield spec.name, " is missing"
        else:
            yield from _other(node, spec)
    required = {spec.name: spec for spec in map(read_spec, facts_of(plan).site.requires)}
    for node in nodes(found):
        if node.name in required:
            yield from _other(node, required[node.name])
    yield from _unpatched(found, plan)


def _unpatched(found: Mapping[str, Any], plan: Plan) -> Iterator[_Wrong]:
    """What is to have patches of ours: a recipe of Spack's own may come before it."""
    for package, source in facts_of(plan).patched.items():
        namespaces = [node.namespace for node in nodes(found) if node.name == package]
        if not namespaces:
            yield package, f", which is to have the patches of {source}, is missing"
        for namespace in {*namespaces} - {REPOSITORY}:
            yield package, f" is from {namespace}, without the patches of {source}"


def _other(node: Node, spec: Spec) -> Iterator[_Wrong]:
    """What a package isn't of a spec."""
    if spec.exact and not _is(node.version, spec):
        yield spec.name, f" is {node.version}, not {spec.exact}"
    for variant, value in spec.variants.items():
        given = node.variants.get(variant)
        if not _holds(value, given):
            yield spec.name, f": {variant} is {given}, not {value}"


def _is(version: str, spec: Spec) -> bool:
    """Whether a version is what a spec asks for: 3.11.9 is ``@3.11``, and not ``@=3.11``."""
    if "=" in str(spec.version):  # of a commit as well
        return version == spec.exact
    return f"{version}.".replace("-", ".").startswith(f"{spec.exact}.".replace("-", "."))


def _holds(asked: bool | tuple[str, ...], given: object) -> bool:
    if isinstance(asked, bool):
        return given is asked
    return {*asked} <= ({*given} if isinstance(given, list) else {given})


def _not_made(found: Mapping[str, Any], plan: Plan) -> Iterator[_Wrong]:
    """What would not be made, though nothing says that it is there."""
    facts = facts_of(plan)
    there = {each.name for each in (*facts.site.externals, *facts.externals)}
    there |= {compiler.name for compiler in facts.site.compilers} | _OF_THE_BASE
    for node in nodes(found):
        if node.external and node.name not in there:
            yield node.name, " is taken as there already, and neither system nor stack says so"


def _loose(found: Mapping[str, Any], plan: Plan) -> Iterator[_Wrong]:
    """What would be another thing each day, under the same hash; or of a commit nobody asked for.

    Of a version that has a number it takes the recipe to tell: images/spack_commits.py.
    """
    asked = (*(source_roots(plan) if plan.from_source else ()), *facts_of(plan).site.requires)
    commits = {(spec.name, spec.version) for spec in map(read_spec, asked)}
    for node in nodes(found):
        if node.external:
            continue
        if not node.version[:1].isdigit() and (node.name, node.version) not in commits:
            yield node.name, f" is {node.version}, a branch or commit that is not asked for"
        if node.variants.get("dev_path"):
            yield node.name, " is made of a folder, which no hash is of"


def _other_machine(found: Mapping[str, Any], plan: Plan) -> Iterator[_Wrong]:
    arch = facts_of(plan).site.cuda_arch
    for node in nodes(found):
        if node.external:
            continue
        if node.target != plan.machine.target:
            yield node.name, f" is for {node.target}, not {plan.machine.target}"
        built_for = node.variants.get("cuda_arch") if node.variants.get("cuda") is True else None
        if plan.gpu == "nvidia" and built_for not in (None, [arch]):
            yield node.name, f" is for GPUs of {built_for}, not {arch}"
