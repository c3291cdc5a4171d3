"""Make a lock: pip decides on wheels, mmdebstrap on Debian packages."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.steps import step_keys
from stackwright.building.recipe import render
from stackwright.errors import StackwrightError
from stackwright.inputs.requirements import NO_DEPS, PROVIDERS
from stackwright.inputs.site import Site
from stackwright.locking import baserefusal, piprefusal
from stackwright.locking.base import check_python, read_base
from stackwright.locking.lockinputs import BUILD_TOOLS, lock_inputs, machine_of
from stackwright.locking.locks import Base, Inputs, Lock, Wheels
from stackwright.locking.wheelset import check_same_bytes, group_wheels, platform_tags, yanked
from stackwright.plans.plan import Plan
from stackwright.store import Store, move_content
from stackwright.tools.process import Runner, ToolError

T = TypeVar("T")
OnPart = Callable[[str, float | None], None]

_UNKNOWN = "sha256:" + "0" * 64
_UNSOLVED = Wheels(tools=(), frameworks=(), packages=())


def solve(
    plan: Plan,
    site: Site,
    store: Store,
    runner: Runner,
    *,
    keep_base: Lock | None = None,
    keep_wheels: Lock | None = None,
    prefer: Wheels | None = None,
    on_part: OnPart = lambda _part, _seconds: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> Lock:
    """Ask the solvers, and return what they decided.

    Args:
        keep_base: a lock whose base is kept as it is, with what it was solved from.
        keep_wheels: the same for the wheels.
        prefer: wheels whose versions stay, where the requirements still allow them.
        on_part: told ``wheels`` or ``base``, with None before it is solved, the seconds after.
        warn: told what was chosen all the same, a line each.

    Raises:
        StackwrightError: a solver failed; its own words are in the error. Or the base has
            another Python than the stack wants, or a wheel of ``prefer`` has other bytes now.
    """
    inputs = lock_inputs(plan)
    wheels = (
        keep_wheels.wheels
        if keep_wheels
        else _timed("wheels", on_part, lambda: solve_wheels(plan, site, runner, prefer, warn))
    )
    base = (
        keep_base.base
        if keep_base
        else _timed("base", on_part, lambda: solve_base(plan, site, store, runner))
    )
    check_python(base, plan)
    return Lock(
        schema="stackwright/lock/1",
        label=str(plan.label),
        inputs=Inputs(
            base=keep_base.inputs.base if keep_base else inputs.base,
            wheels=keep_wheels.inputs.wheels if keep_wheels else inputs.wheels,
        ),
        base=base,
        wheels=wheels,
        solved_with={
            **(keep_base or keep_wheels or _draft(plan)).solved_with,
            **({} if keep_wheels else {"pip": version("pip")}),
            **({} if keep_base else _base_tool(plan, runner)),
        },
    )


def _timed(part: str, on_part: OnPart, work: Callable[[], T]) -> T:
    on_part(part, None)
    started = time.monotonic()
    result = work()
    on_part(part, time.monotonic() - started)
    return result


def solve_wheels(
    plan: Plan,
    site: Site,
    runner: Runner,
    prefer: Wheels | None = None,
    warn: Callable[[str], None] = lambda _text: None,
) -> Wheels:
    """Every wheel that the requirements need, transitively, and the build tools.

    Args:
        prefer: wheels whose versions stay, if all that are still allowed can stay together.
        warn: told of each wheel that its index has yanked (PEP 592), with the reason.

    Raises:
        StackwrightError: pip can't satisfy a requirement, which is named in its place; or a file
            of ``prefer`` has other bytes now.
    """
    found = _resolve(plan, site, runner, _still_allowed(prefer, plan) if prefer else ())
    names = [canonicalize_name(_name(text, plan)) for text in plan.frameworks]
    alone = {canonicalize_name(_name(text, plan)) for text in _wanted(plan)[1]}
    wheels = group_wheels(found.report, names, plan.python, alone)
    tools = _pip_answer(plan, BUILD_TOOLS, runner)
    built_with = group_wheels(tools.report, (), plan.python).packages
    wheels = wheels.model_copy(update={"tools": built_with})
    if prefer:
        check_same_bytes(prefer, wheels, plan.label)
    for answer in (found, tools):
        for text in yanked(answer.said):
            warn(text)
    return wheels


@dataclass(frozen=True)
class _Answer:
    """What pip would install, and what it printed beside."""

    report: Mapping[str, Any]
    said: str


def _resolve(plan: Plan, site: Site, runner: Runner, pins: Sequence[str]) -> _Answer:
    """What pip chooses, with these pins if it can, else without."""
    if pins:
        with suppress(ToolError):
            return _both(plan, runner, pins)
    lines: list[str] = []

    def keep(line: str) -> None:
        lines.append(line)
        runner.on_line(line)

    try:
        return _both(plan, replace(runner, on_line=keep))
    except ToolError as error:
        raise (piprefusal.explain(lines, plan, site) or error) from error


def _wanted(plan: Plan) -> tuple[list[str], list[str]]:
    """The requirements that bring what they need, and those that are installed alone."""
    every = (*plan.frameworks, *plan.packages)
    alone = [text.removesuffix(NO_DEPS) for text in every if text.endswith(NO_DEPS)]
    return [text for text in every if not text.endswith(NO_DEPS)], alone


def _both(plan: Plan, runner: Runner, pins: Sequence[str] = ()) -> _Answer:
    """What pip chooses of both kinds of requirements."""
    whole, alone = _wanted(plan)
    answer = _pip_answer(plan, whole, runner, pins)
    if not alone:
        return answer
    more = _pip_answer(plan, ("--no-deps", *alone), runner, pins)
    install = [*answer.report["install"], *more.report["install"]]
    return _Answer({**answer.report, "install": install}, answer.said + more.said)


def _still_allowed(wheels: Wheels, plan: Plan) -> tuple[str, ...]:
    """Pins of the wheels that the stack's own requirements don't exclude now.

    They are compared as text (``===``), for ``==1.0`` would take a 1.0+local as well.
    """
    asked = [Requirement(text) for kind in _wanted(plan) for text in kind]
    allowed: Mapping[str, SpecifierSet] = {
        canonicalize_name(need.name): need.specifier for need in asked
    }
    return tuple(
        f"{wheel.name}==={Version(wheel.version)}"
        for wheel in (*wheels.frameworks, *wheels.packages)
        if wheel.name not in allowed or _admits(allowed[wheel.name], wheel.version)
    )


def _admits(specifier: SpecifierSet, version: str) -> bool:
    """Whether a version is in the range; a pre-release only where the range names one."""
    return specifier.contains(version, prereleases=bool(specifier.prereleases))


def _pip_answer(
    plan: Plan, requirements: Sequence[str], runner: Runner, pins: Sequence[str] = ()
) -> _Answer:
    """What the pip of this Python would install; its own configuration names the indexes."""
    with TemporaryDirectory(prefix="stackwright-") as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{pin}\n" for pin in pins))
        platforms = platform_tags(machine_of(plan), plan.machine.os.glibc)
        said = runner.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                *("install", "--dry-run", "--ignore-installed"),
                *("--report", str(report), "--target", str(Path(folder, "target"))),
                *("--only-binary", ":all:", "--python-version", plan.python),
                *("--implementation", "cp", "--abi", f"cp{plan.python.replace('.', '')}"),
                *("--abi", "abi3", "--abi", "none"),
                *(argument for name in platforms for argument in ("--platform", name)),
                *("--constraint", str(constraints)),
                *requirements,
            ],
            hint=piprefusal.ELSEWHERE,
        )
        return _Answer(json.loads(report.read_text()), said)


def _name(requirement: str, plan: Plan) -> str:
    return PROVIDERS[plan.provider].read(requirement).name


def solve_base(plan: Plan, site: Site, store: Store, runner: Runner) -> Base:
    """Make the base once, see what came of it, and keep it for the build.

    Raises:
        StackwrightError: mmdebstrap can't make it; the entry to blame is named in its place.
    """
    draft = _draft(plan)
    recipe = render(plan, draft, site)
    with store.lock("lock-base"), store.scratch("lock-base") as out:
        try:
            run_script(recipe, recipe.steps[0], out, inputs={}, env={}, runner=runner)
        except ToolError as error:
            raise (baserefusal.explain(error, plan, site) or error) from error
        base = read_base(out, plan.base.source)
        if plan.base.kind == "debian" and not base.packages:
            raise StackwrightError(
                f"Debian {base.source} gave no packages", hint=f"see {store.log}"
            )
        solved = render(plan, draft.model_copy(update={"base": base}), site)
        step = solved.steps[0]
        store.step(step.name, step_keys(solved, "")[step.name], lambda to: move_content(out, to))
    return base


def _base_tool(plan: Plan, runner: Runner) -> dict[str, str]:
    program = {"debian": "mmdebstrap", "image": "skopeo"}[plan.base.kind]
    found = re.search(r"\d+(\.\d+)+", runner.run([program, "--version"]))
    return {program: found.group() if found else "unknown"}


def _draft(plan: Plan) -> Lock:
    return Lock(
        schema="stackwright/lock/1",
        label=str(plan.label),
        inputs=lock_inputs(plan),
        base=Base(source=plan.base.source, digest=_UNKNOWN, packages={}),
        wheels=_UNSOLVED,
        solved_with={},
    )
