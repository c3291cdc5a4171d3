"""Ask the real Spack for a lock, and check that it holds what was asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from stackwright.building.providers.scripts import write_files
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.spack.dialect import dialect_of
from stackwright.spack.environment import facts_of, inputs_hash, render_environment
from stackwright.spack.lockfile import Source, SpackLock, nodes
from stackwright.spack.refusal import explain
from stackwright.spack.wheelrepo import spack_name, spack_version
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.spack import Spack, run_spack

SECONDS = 1800
"""How long Spack may take, unless told otherwise."""

_SHOWN = 5


def concretize(
    plan: Plan,
    lock: Lock,
    site: Site,
    spack: Spack,
    store: Store,
    runner: Runner,
    *,
    seconds: int = SECONDS,
) -> SpackLock:
    """What Spack decides for a plan, in a folder of its own, with no configuration but ours.

    Args:
        lock: the wheels that its packages are made of.
        seconds: after these Spack is ended.

    Raises:
        StackwrightError: it found no solution, or none in time; or what it found is not what was
            asked for.
    """
    files = render_environment(plan, lock, dialect_of(spack.version), site)
    started = time.monotonic()
    with store.lock("spack-lock"), store.scratch("spack-lock") as work:
        write_files(files, work / "environment")
        lines: list[str] = []

        def keep(line: str) -> None:
            lines.append(line)
            runner.on_line(line)

        try:
            run_spack(
                spack,
                ["-e", str(work / "environment"), "concretize"],
                replace(runner, on_line=keep),
                work=work,
                cache=store.root / "spack" / spack.tree,
                seconds=seconds,
            )
        except ToolError as error:
            raise (explain(lines, plan, site) or error) from error
        found = json.loads((work / "environment" / "spack.lock").read_bytes())
    took = time.monotonic() - started
    check(found, plan, lock)
    return SpackLock(
        schema="stackwright/spack-lock/1",
        label=str(plan.label),
        inputs=inputs_hash(files),
        spack=Source(version=spack.version, commit=spack.commit, tree=spack.tree),
        packages=None,
        seconds=round(took, 1),
        lock=found,
    )


def check(found: Mapping[str, Any], plan: Plan, lock: Lock) -> None:
    """Check that a ``spack.lock`` holds what was asked for: every wheel, for the right processor.

    Raises:
        StackwrightError: a solver left something out.
    """
    if wrong := [*_wrong(found, plan, lock)]:
        more = [f"  and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        wheels = Label(plan.stack, plan.version, facts_of(plan).wheels or "", plan.system)
        raise StackwrightError(
            "\n".join(["Spack's lock is not what was asked for:", *wrong[:_SHOWN], *more]),
            hint=f"lock the wheels anew: stackwright lock --wheels-only '{wheels}'",
        )


def _wrong(found: Mapping[str, Any], plan: Plan, lock: Lock) -> Iterator[str]:
    there = {node.name: node for node in nodes(found)}
    for wheel in (*lock.wheels.frameworks, *lock.wheels.packages):
        node, version = there.get(spack_name(wheel.name)), spack_version(wheel.version)
        if node is None:
            yield f"  {spack_name(wheel.name)} is missing"
        elif node.version != version:
            yield f"  {node.name} is {node.version}, not {version}"
    for node in there.values():
        if not node.external and node.target != plan.machine.target:
            yield f"  {node.name} is for {node.target}, not {plan.machine.target}"
