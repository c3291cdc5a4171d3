"""Make a lock: pip decides on wheels, mmdebstrap on Debian packages."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from stackwright.building.providers.sources import TOOLCHAIN
from stackwright.building.providers.steps import step_keys
from stackwright.building.recipe import render
from stackwright.errors import StackwrightError
from stackwright.inputs.requirements import NO_DEPS, PROVIDERS
from stackwright.inputs.site import Site
from stackwright.locking import baserefusal, piprefusal
from stackwright.locking.base import check_python, read_base
from stackwright.locking.cudawheels import check_cuda, cuda_doubts
from stackwright.locking.lockinputs import BUILD_TOOLS, SOURCE_TOOLS, lock_inputs, machine_of
from stackwright.locking.locks import Base, Inputs, Layer, Lock, Sdist, Sources, Wheel, Wheels
from stackwright.locking.wheelset import (
    check_same_bytes,
    group_wheels,
    platform_tags,
    sdist_of,
    yanked,
)
from stackwright.plans.plan import Plan
from stackwright.store import Store, move_content
from stackwright.tools.process import Runner, ToolError

T = TypeVar("T")
OnPart = Callable[[str, float | None], None]

_UNKNOWN = "sha256:" + "0" * 64

_METADATA_ONLY = ("--use-feature=fast-deps",)
"""What a wheel needs is read out of it, without the rest (HTTP ranges), where an index doesn't
serve it alone: wheels with CUDA have gigabytes. Hashes are the index's; builds check them."""


def solve(
    plan: Plan,
    site: Site,
    store: Store,
    runner: Runner,
    *,
    keep_base: Lock | None = None,
    keep_wheels: Lock | None = None,
    keep_sources: Lock | None = None,
    prefer: Wheels | None = None,
    bases: Sequence[Base] = (),
    on_part: OnPart = lambda _part, _seconds: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> Lock:
    """Ask the solvers, and return what they decided.

    Args:
        keep_base: a lock whose base is kept as it is, with what it was solved from.
        keep_wheels: the same for the wheels.
        keep_sources: the same for what is built from sources.
        prefer: wheels whose versions stay, where the requirements still allow them.
        bases: those of the system's other locks; one that is in the store needn't be made again.
        on_part: told the part of a lock, with None before it is solved, the seconds after.
        warn: told what was chosen all the same, a line each.

    Raises:
        StackwrightError: a solver failed; its own words are in the error. Or the base has
            another Python than the stack wants, or a wheel of ``prefer`` has other bytes now. Or
            wheels with CUDA don't fit each other, or the system's GPUs.
    """
    inputs = lock_inputs(plan)
    wheels = (
        keep_wheels.wheels
        if keep_wheels
        else _timed("wheels", on_part, lambda: solve_wheels(plan, site, runner, prefer, warn))
    )
    check_cuda(plan, wheels, site)
    for doubt in cuda_doubts(plan, wheels, site):
        warn(doubt)
    base = (
        keep_base.base
        if keep_base
        else _timed("base", on_part, lambda: solve_base(plan, site, store, runner, bases))
    )
    check_python(base, plan)
    sources = keep_sources.sources if keep_sources else None
    if inputs.sources and keep_sources is None:
        sources = _timed(
            "sources", on_part, lambda: solve_sources(plan, wheels, site, store, runner)
        )
    return Lock(
        schema="stackwright/lock/2",
        label=str(plan.label),
        inputs=Inputs(
            base=keep_base.inputs.base if keep_base else inputs.base,
            wheels=keep_wheels.inputs.wheels if keep_wheels else inputs.wheels,
            sources=keep_sources.inputs.sources if keep_sources else inputs.sources,
        ),
        base=base,
        wheels=wheels,
        sources=sources,
        solved_with={
            **(keep_base or keep_wheels or keep_sources or draft(plan)).solved_with,
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
    if plan.from_source:
        return Wheels(tools=_tools(_pip_answer(plan, BUILD_TOOLS, runner), plan), layers=())
    asked = [text for kind in _wanted(plan) for text in kind]
    found = _resolve(plan, site, runner, _still_allowed(prefer, asked) if prefer else ())
    layers = {layer: [_name(text, plan) for text in texts] for layer, texts in plan.layers.items()}
    alone = {canonicalize_name(_name(text, plan)) for text in _wanted(plan)[1]}
    built = {canonicalize_name(Requirement(source.requirement).name) for source in plan.sources}
    wheels = group_wheels(found.report, layers, plan.python, alone, built)
    tools = _pip_answer(plan, BUILD_TOOLS, runner)
    wheels = wheels.model_copy(update={"tools": _tools(tools, plan)})
    if prefer:
        check_same_bytes(prefer, wheels, plan.label)
    for answer in (found, tools):
        for text in yanked(answer.said):
            warn(text)
    return wheels


def _tools(answer: _Answer, plan: Plan) -> tuple[Wheel, ...]:
    return group_wheels(answer.report, {"tools": ()}, plan.python).installed


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


def _still_allowed(wheels: Wheels, asked: Iterable[str]) -> tuple[str, ...]:
    """Pins of the wheels that these requirements don't exclude.

    They are compared as text (``===``), for ``==1.0`` would take a 1.0+local as well.
    """
    allowed: dict[str, SpecifierSet] = {}
    for need in map(Requirement, asked):
        name = canonicalize_name(need.name)
        allowed[name] = allowed.get(name, SpecifierSet()) & need.specifier
    return tuple(
        f"{wheel.name}==={Version(wheel.version)}"
        for wheel in wheels.installed
        if wheel.name not in allowed or _admits(allowed[wheel.name], wheel.version)
    )


def _wanted(plan: Plan) -> tuple[list[str], list[str]]:
    """The requirements that bring what they need, and those that are installed alone."""
    every = [text for texts in plan.layers.values() for text in texts]
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


def _admits(specifier: SpecifierSet, version: str) -> bool:
    """Whether a version is in the range; a pre-release only where the range names one."""
    return specifier.contains(version, prereleases=bool(specifier.prereleases))


def _pip_answer(
    plan: Plan, requirements: Sequence[str], runner: Runner, pins: Sequence[str] = ()
) -> _Answer:
    """What the pip of this Python would install; its own configuration names the indexes."""
    with TemporaryDirectory(prefix="stackwright-") as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        made = [source.requirement for source in plan.sources]
        constraints.write_text("".join(f"{pin}\n" for pin in [*pins, *made]))
        platforms = platform_tags(machine_of(plan), plan.machine.os.glibc)
        said = runner.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                *("install", "--dry-run", "--ignore-installed", *_METADATA_ONLY),
                *("--report", str(report), "--target", str(Path(folder, "target"))),
                *("--only-binary", ":all:", "--python-version", plan.python),
                *("--implementation", "cp", "--abi", f"cp{plan.python.replace('.', '')}"),
                *("--abi", "abi3", "--abi", "none"),
                *(argument for name in platforms for argument in ("--platform", name)),
                *("--constraint", str(constraints)),
                *requirements,
            ],
            cwd=Path(folder),  # Python looks for modules there first
            hint=piprefusal.ELSEWHERE,
        )
        return _Answer(json.loads(report.read_text()), said)


def _name(requirement: str, plan: Plan) -> str:
    return PROVIDERS[plan.provider].read(requirement).name


def solve_base(
    plan: Plan, site: Site, store: Store, runner: Runner, bases: Sequence[Base] = ()
) -> Base:
    """Make the base once, see what came of it, and keep it for the build.

    Args:
        bases: made for other stacks; one that the store has is this stack's, too.

    Raises:
        StackwrightError: mmdebstrap can't make it; the entry to blame is named in its place.
    """
    for base in bases:
        recipe = render(plan, draft(plan, base=base), site)
        if store.has_step("base", step_keys(recipe, "")["base"]):
            return base
    return _make_root(plan, "base", lambda base: draft(plan, base=base), site, store, runner)


def solve_sources(plan: Plan, wheels: Wheels, site: Site, store: Store, runner: Runner) -> Sources:
    """The files of sources, and what they are built with: Python packages and a toolchain.

    Args:
        wheels: of the stack; the build environment has the same versions, where it allows them.

    Raises:
        StackwrightError: a solver failed; its own words are in the error.
    """
    sdists = tuple(_find_sdist(source.requirement, site, runner) for source in plan.sources)
    build = _build_environment(plan, wheels, runner) if plan.sources else ()

    def drafted(toolchain: Base) -> Lock:
        return draft(plan, sources=Sources(sdists=sdists, build=build, toolchain=toolchain))

    toolchain = _make_root(plan, TOOLCHAIN, drafted, site, store, runner)
    return Sources(sdists=sdists, build=build, toolchain=toolchain)


def _build_environment(plan: Plan, wheels: Wheels, runner: Runner) -> tuple[Wheel, ...]:
    texts = [*SOURCE_TOOLS]
    for source in plan.sources:
        texts += [*source.build, *source.needs]
    answer = _pip_answer(plan, texts, runner, _still_allowed(wheels, texts))
    return group_wheels(answer.report, {"build": ()}, plan.python).installed


def _find_sdist(requirement: str, site: Site, runner: Runner) -> Sdist:
    """The file that pip chooses for sources; none of their own code is run for that."""
    with TemporaryDirectory(prefix="stackwright-") as folder:
        report = Path(folder, "report.json")
        backend = Path(folder, "setuptools", "build_meta.py")
        backend.parent.mkdir()
        (backend.parent / "__init__.py").touch()
        backend.write_bytes((site.root / "images" / "sdist_backend.py").read_bytes())
        runner.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                *("install", "--dry-run", "--ignore-installed", "--no-deps"),
                *("--no-binary", ":all:", "--use-pep517", "--no-build-isolation"),
                *("--report", str(report), requirement),
            ],
            env={**os.environ, "PYTHONPATH": folder},
            cwd=Path(folder),
            hint=piprefusal.ELSEWHERE,
        )
        return sdist_of(json.loads(report.read_text())["install"][0])


def _make_root(
    plan: Plan,
    name: str,
    drafted: Callable[[Base], Lock],
    site: Site,
    store: Store,
    runner: Runner,
) -> Base:
    """Run the step that makes a root file system, and keep what came of it for the build.

    Args:
        name: the step's.
        drafted: a lock with such a root file system.
    """
    recipe = render(plan, drafted(_no_base(plan)), site)
    step = next(step for step in recipe.steps if step.name == name)
    with store.lock(f"lock-{name}"), store.scratch(f"lock-{name}") as out:
        try:
            run_script(recipe, step, out, inputs={}, env={}, runner=runner)
        except ToolError as error:
            raise (baserefusal.explain(error, plan, site) or error) from error
        made = read_base(out, plan.base.source)
        if plan.base.kind == "debian" and not made.packages:
            raise StackwrightError(
                f"Debian {made.source} gave no packages", hint=f"see {store.log}"
            )
        key = step_keys(render(plan, drafted(made), site), "")[name]
        store.step(name, key, lambda to: move_content(out, to))
    return made


def _base_tool(plan: Plan, runner: Runner) -> dict[str, str]:
    program = {"debian": "mmdebstrap", "image": "skopeo"}[plan.base.kind]
    found = re.search(r"\d+(\.\d+)+", runner.run([program, "--version"]))
    return {program: found.group() if found else "unknown"}


def draft(plan: Plan, *, base: Base | None = None, sources: Sources | None = None) -> Lock:
    """A lock of which nothing else is solved."""
    return Lock(
        schema="stackwright/lock/2",
        label=str(plan.label),
        inputs=lock_inputs(plan),
        base=base or _no_base(plan),
        wheels=Wheels(tools=(), layers=tuple(Layer(name=n, wheels=()) for n in plan.layers)),
        sources=sources,
        solved_with={},
    )


def _no_base(plan: Plan) -> Base:
    return Base(source=plan.base.source, digest=_UNKNOWN, packages={})
