"""Ask the real Spack for a lock."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import replace

from stackwright.building.providers.scripts import write_files
from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.inputs.systems import architecture
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.spack.asked import check
from stackwright.spack.dialect import dialect_of
from stackwright.spack.environment import inputs_hash, render_environment
from stackwright.spack.known import check_known, question
from stackwright.spack.lockfile import Source, SpackLock, contradiction
from stackwright.spack.refusal import explain
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.spack import Checkout, run_spack, taken_out


def concretize(
    plan: Plan,
    lock: Lock | None,
    site: Site,
    spack: Checkout,
    packages: Checkout | None,
    store: Store,
    runner: Runner,
    *,
    seconds: int,
) -> SpackLock:
    """What Spack decides for a plan, in a folder of its own, with no configuration but ours.

    Args:
        lock: the wheels that its packages are made of; None where it is made from source.
        packages: Spack's own packages, where they are wanted and not part of Spack.
        seconds: after these Spack is ended.

    Raises:
        StackwrightError: it found no solution, or none in time; what it found is not what was
            asked for; or this machine is of another architecture than the packages would be.
    """
    if lock is None:
        _same_architecture(plan)
    root, made_by, made_of = spack.root, _source(spack), _source(packages) if packages else None
    files = render_environment(plan, lock, dialect_of(spack.version), site)
    started = time.monotonic()
    with store.lock("spack-lock"), store.scratch("spack-lock") as work:
        environment = work / "environment"
        write_files(files, environment)
        program = site.own("images/git_tree.py")
        spack = taken_out(spack, program, runner, work / "spack")
        packages = packages and taken_out(packages, program, runner, work / "packages")
        cache = store.path(index_of(spack.tree, packages.tree if packages else ""))

        def ask(arguments: Sequence[str]) -> str:
            lines: list[str] = []

            def keep(line: str) -> None:
                lines.append(line)
                runner.on_line(line)

            try:
                return run_spack(
                    spack,
                    arguments,
                    replace(runner, on_line=keep),
                    work=work,
                    cache=cache,
                    seconds=seconds,
                    packages=packages,
                )
            except ToolError as error:
                raise (explain(lines, plan, site) or error) from error

        if plan.from_source:
            check_known(ask(question(plan, environment, site)), plan, site)
        ask(["-e", str(environment), "concretize"])
        found = json.loads((environment / "spack.lock").read_bytes())
        if wrong := contradiction(found, made_by):
            raise StackwrightError(
                f"Spack's lock contradicts its checkout: {wrong}",
                hint=f"check {root} out anew: git -C {root} status",
            )
    took = time.monotonic() - started
    check(found, plan, lock, site)
    return SpackLock(
        schema="stackwright/spack-lock/1",
        label=str(plan.label),
        inputs=inputs_hash(files),
        spack=made_by,
        packages=made_of,
        seconds=round(took, 1),
        lock=found,
    )


def _same_architecture(plan: Plan) -> None:
    """Spack takes the C library of a compiler from the machine that it runs on.

    So it finds no solution for another architecture, after minutes and with reasons that say
    nothing of it (tried with 0.23.1 and 1.1.0: power9le, on x86-64).
    """
    wanted, here = architecture(plan.machine.target), platform.machine()
    if wanted != here:
        raise StackwrightError(
            f"{plan.label} is for {wanted}, and Spack decides on {here} for {here} only",
            hint=f"lock it on a machine of {wanted}, with the release of Debian of its base",
        )


def index_of(spack: str, packages: str) -> str:
    """Where in a store it is kept what a Spack finds out about its packages, by their trees.

    It takes minutes of computing, and builds need it as well (``images/steps/spack-sources.sh``).
    """
    return f"spack/index/{spack}-{packages}"


def _source(checkout: Checkout) -> Source:
    return Source(version=checkout.version, commit=checkout.commit, tree=checkout.tree)
