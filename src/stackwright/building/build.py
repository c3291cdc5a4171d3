"""Build a plan: run the recipe's steps that have no output yet, and record the artefact."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from stackwright.building.leftovers import marked, remove_dead
from stackwright.building.providers import spacksource
from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.sources import TOOLCHAIN
from stackwright.building.providers.steps import Recipe, Step, step_keys
from stackwright.building.recipe import render
from stackwright.canonical import hash_file
from stackwright.certify.artefact import Artefact, Image, Part
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.site import Site
from stackwright.locking.base import check_base, read_base
from stackwright.locking.lockinputs import locked
from stackwright.locking.locks import Lock
from stackwright.locking.solve import draft
from stackwright.plans.plan import Plan, plan_hash
from stackwright.release.measure import image_digest
from stackwright.store import Store
from stackwright.tools.engines import BUILD_ENGINES, BuildEngine
from stackwright.tools.process import Runner, ToolError
from stackwright.tools.redaction import redact

BUILD_CACHE = "STACKWRIGHT_BUILD_CACHE"
"""The variable that names a folder of what Spack compiled before, or a registry's ``oci://``.

Else, and beside a registry, the store has a folder for it.
"""

BUILD_REGISTRY = "STACKWRIGHT_BUILD_REGISTRY"
"""What steps are told, if it is a registry."""

SOURCES = "STACKWRIGHT_SOURCES"
"""The variable that names where sources lie already: folders and lists of URLs, colons between."""

Run = Callable[[Step, Path, Mapping[str, Path], Runner], None]
"""Does a step: the step, its empty output folder, the output folders of its inputs."""


@dataclass(frozen=True)
class Progress:
    """One event of a build, for the command line to show.

    ``state`` is ``running`` when a step starts, and at its end ``done``, or ``reused`` if its
    output was there already (perhaps because another build had just made it).
    """

    step: str
    title: str
    number: int
    total: int
    state: str
    seconds: float = 0.0


OnProgress = Callable[[Progress], None]


def build(
    plan: Plan,
    site: Site,
    store: Store,
    engine: Callable[[], BuildEngine],
    runner: Runner,
    *,
    on_progress: OnProgress = lambda _event: None,
    on_package: Callable[[str], None] = lambda _text: None,
) -> Artefact:
    """Build what isn't built yet; equal inputs are never built twice.

    Args:
        engine: finds the container engine; called only if something is to be built.
        on_package: is told of each package that Spack has installed from source.

    Raises:
        StackwrightError: no lock, a stale one, or a step failed; what was finished stays.
    """
    if (artefact := store.read_artefact(plan_hash(plan))) is not None:
        return artefact
    lock = locked(plan, site)
    recipe = render(plan, lock, site)
    chosen, places = engine(), os.environ.get(SOURCES, "")
    roots = {"base": lock.base, TOOLCHAIN: lock.sources.toolchain if lock.sources else None}

    def run(step: Step, out: Path, inputs: Mapping[str, Path], runner: Runner) -> None:
        if step.name == spacksource.BUILD:
            hear = spacksource.counted(recipe.files["spack/spack.lock"], on_package)
            runner = _heard(runner, hear)
        with marked(chosen, out, runner) as env:
            told = {**env, "ENGINE": chosen.name, **_kept(store, runner, places)}
            run_script(recipe, step, out, inputs=inputs, env=told, runner=runner)
        if (root := roots.get(step.name)) is not None:
            check_base(root, read_base(out, plan.base.source), lock.label, step.name)

    remove_dead(chosen, store, runner)
    outputs = run_steps(recipe, store, chosen.name, run, runner, on_progress=on_progress)
    artefact = _artefact(plan, store, outputs)
    store.write_artefact(artefact)
    return artefact


def _heard(runner: Runner, hear: Callable[[str], None]) -> Runner:
    """The same runner, whose lines are told to another as well."""

    def both(line: str) -> None:
        runner.on_line(line)
        hear(line)

    return replace(runner, on_line=both)


def fetch_sources(
    plan: Plan,
    site: Site,
    store: Store,
    runner: Runner,
    *,
    places: str,
    on_progress: OnProgress = lambda _event: None,
) -> Path:
    """The folder of all sources that a plan is made from, as Spack reads it; needs no container.

    Args:
        places: where they may lie already: folders, and lists of URLs, with colons between.

    Raises:
        StackwrightError: the plan is made of wheels; Spack's lock doesn't fit; or a source is not
            to be had.
    """
    if not plan.from_source:
        raise StackwrightError(
            f"{plan.label} is made of wheels, which pip downloads: it has no sources of Spack's"
        )
    recipe = render(plan, draft(plan), site)  # neither the base nor wheels have a part in it
    steps = tuple(step for step in recipe.steps if step.name in spacksource.FOR_SOURCES)

    def run(step: Step, out: Path, inputs: Mapping[str, Path], runner: Runner) -> None:
        env = _kept(store, runner, places)
        run_script(recipe, step, out, inputs=inputs, env=env, runner=runner)

    outputs = run_steps(
        replace(recipe, steps=steps), store, "", run, runner, on_progress=on_progress
    )
    return outputs[spacksource.SOURCES] / "mirror"


def _kept(store: Store, runner: Runner, places: str) -> dict[str, str]:
    """Where steps find sources, and put what outlives a failure.

    None of it is an input: what is taken from there goes by the hashes that a lock names.
    """
    logs = runner.transcript.with_suffix("") if runner.transcript else store.path("logs")
    folder, registry = build_caches(os.environ.get(BUILD_CACHE, ""))
    return {
        BUILD_CACHE: folder or str(store.path("spack/build-cache")),
        BUILD_REGISTRY: registry,
        SOURCES: ":".join(str(Path(place).absolute()) for place in places.split(":") if place),
        "STACKWRIGHT_PACKAGE_LOGS": str(logs),
        "STACKWRIGHT_SPACK_INDEX": str(store.path("spack/index")),
    }


def build_caches(named: str) -> tuple[str, str]:
    """The folder and the registry that are named for what was compiled: at most one of them.

    Raises:
        StackwrightError: it is a URL of something else, or names no repository in a registry.
    """
    scheme, separator, name = named.partition("://")
    if not separator:
        return named, ""
    if scheme not in ("oci", "oci+http") or not re.fullmatch(
        r"[A-Za-z0-9.:\[\]-]+(/[a-z0-9._-]+)+", name
    ):
        raise StackwrightError(
            f"{BUILD_CACHE}={redact(named)} is neither a folder nor a place in a registry",
            hint=f"export {BUILD_CACHE}=oci://REGISTRY/NAME; oci+http:// for one without TLS",
        )
    return "", named


def missing_steps(plan: Plan, lock: Lock, site: Site, store: Store) -> tuple[Step, ...]:
    """The steps that a build would do, as their outputs are not in the store."""
    recipe = render(plan, lock, site)
    keys = [step_keys(recipe, engine) for engine in BUILD_ENGINES]
    return tuple(
        step
        for step in recipe.steps
        if not any(store.has_step(step.name, key[step.name]) for key in keys)
    )


def run_steps(
    recipe: Recipe,
    store: Store,
    engine: str,
    run: Run,
    runner: Runner,
    *,
    on_progress: OnProgress = lambda _event: None,
) -> dict[str, Path]:
    """Do the steps that the store has no output of; the output folder of each, by its name.

    Raises:
        StackwrightError: a step failed; names the step and its log.
    """
    keys = step_keys(recipe, engine)
    outputs: dict[str, Path] = {}
    for number, step in enumerate(recipe.steps, 1):
        key = keys[step.name]
        tell = _teller(step, number, len(recipe.steps), on_progress)
        inputs = {name: outputs[source] for name, source in step.inputs.items()}
        logged = replace(runner, transcript=store.step_log(step.name, key))
        ran = False

        def do(
            out: Path,
            step: Step = step,
            inputs: Mapping[str, Path] = inputs,
            logged: Runner = logged,
        ) -> None:
            nonlocal ran
            ran = True
            run(step, out, inputs, logged)

        if not store.has_step(step.name, key):
            tell("running", 0.0)
        started = time.monotonic()
        try:
            outputs[step.name] = store.step(step.name, key, do)
        except ToolError as error:
            raise _failed(step, error, store.step_log(step.name, key)) from error
        tell("done" if ran else "reused", time.monotonic() - started)
    return outputs


def _failed(step: Step, error: ToolError, log: Path) -> StackwrightError:
    tail = f":\n{error.tail}" if error.tail else ""
    return StackwrightError(
        f"step '{step.name}' ({step.title}) failed: {error.reason}{tail}",
        hint=f"all of its output: {log}; the same command goes on from this step",
        code=ExitCode.FAIL,
    )


def _teller(
    step: Step, number: int, total: int, on_progress: OnProgress
) -> Callable[[str, float], None]:
    return lambda state, seconds: on_progress(
        Progress(step.name, step.title, number, total, state, seconds)
    )


def tree_hash_of(site: Site) -> Callable[[Path], str]:
    """The tree hash as the site's payload defines it: one definition for images and store.

    Its text is what runs: an import would prefer bytecode, which no digest of the site covers.
    """
    path = site.root / "validation" / "cases" / "tree_hash.py"
    if not path.is_file():
        raise StackwrightError(f"the site lacks {path}")
    module = ModuleType("stackwright_tree_hash")
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102
    function: Callable[[Path], str] = module.tree_hash
    return function


def _artefact(plan: Plan, store: Store, outputs: Mapping[str, Path]) -> Artefact:
    layout = outputs["image"] / "oci"
    digest = image_digest(layout)
    blobs = layout / "blobs" / "sha256"
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
    squashfs = outputs["squashfs"] / "image.squashfs"
    prefix = outputs["prefix"] / "prefix"
    claimed = json.loads((prefix / "share/stackwright/manifest.json").read_bytes())
    return Artefact(
        schema="stackwright/artefact/1",
        label=str(plan.label),
        plan_hash=plan_hash(plan),
        image=Image(
            digest=digest,
            config=manifest["config"]["digest"],
            oci=store.relative(layout),
            bytes=sum(path.stat().st_size for path in blobs.iterdir()),
        ),
        squashfs=Part(
            digest=hash_file(squashfs),
            path=store.relative(squashfs),
            bytes=squashfs.stat().st_size,
        ),
        prefix=Part(
            digest=claimed["tree"],
            path=store.relative(prefix),
            bytes=sum(p.stat().st_size for p in prefix.rglob("*") if p.is_file()),
        ),
    )
