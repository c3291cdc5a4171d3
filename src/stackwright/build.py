"""Build a plan: run the recipe's steps that have no output yet, and record the artefact."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from tempfile import TemporaryDirectory

from stackwright.canonical import hash_file
from stackwright.certify.artefact import Artefact, Image, Part
from stackwright.errors import StackwrightError
from stackwright.locks import Lock, check_fresh, drift, load_lock
from stackwright.plan import Plan, plan_hash
from stackwright.providers.steps import Recipe, Step, step_keys
from stackwright.recipe import render
from stackwright.release.measure import image_digest
from stackwright.site import Site
from stackwright.solve import lock_inputs, pip, read_packages
from stackwright.store import Store
from stackwright.tools.engines import BuildEngine, environment
from stackwright.tools.process import Runner


@dataclass(frozen=True)
class Progress:
    """One event of a build, for the command line to show."""

    step: str
    title: str
    number: int
    total: int
    done_before: bool


OnProgress = Callable[[Progress], None]


def locked(plan: Plan, site: Site) -> Lock:
    """The lock of a plan, if it is there and fits.

    Raises:
        StackwrightError: the label has no lock, or a stale one; names the command.
    """
    path = site.lock_file(plan.label)
    if not path.is_file():
        raise StackwrightError(
            f"{plan.label} has no lock", hint=f"stackwright lock '{plan.label}'"
        )
    lock = load_lock(path)
    check_fresh(lock, lock_inputs(plan), path)
    return lock


def build(
    plan: Plan,
    site: Site,
    store: Store,
    engine: Callable[[], BuildEngine],
    runner: Runner,
    on_progress: OnProgress = lambda _event: None,
) -> Artefact:
    """Build what isn't built yet; equal inputs are never built twice.

    Args:
        engine: finds the container engine; called only if something is to be built.

    Raises:
        StackwrightError: no lock, a stale one, or a step failed; what was finished stays.
    """
    if (artefact := store.read_artefact(plan_hash(plan))) is not None:
        return artefact
    lock = locked(plan, site)
    recipe = render(plan, lock, site)
    chosen = engine()
    keys = step_keys(recipe, chosen.name)
    outputs: dict[str, Path] = {}
    for number, step in enumerate(recipe.steps, 1):
        known = store.has_step(step.name, keys[step.name])
        on_progress(Progress(step.name, step.title, number, len(recipe.steps), known))
        inputs = {name: outputs[source] for name, source in step.inputs.items()}

        def run(out: Path, step: Step = step, inputs: Mapping[str, Path] = inputs) -> None:
            env = {"ENGINE": chosen.name, **chosen.env}
            run_step(recipe, step, out, inputs=inputs, env=env, runner=runner)
            if step.name == "base":
                check_base(lock, out, plan)

        outputs[step.name] = store.step(step.name, keys[step.name], run)
    artefact = _artefact(plan, store, outputs)
    store.write_artefact(artefact)
    return artefact


def run_step(
    recipe: Recipe,
    step: Step,
    out: Path,
    *,
    inputs: Mapping[str, Path],
    env: Mapping[str, str],
    runner: Runner,
) -> None:
    """Run one script of a recipe with its output folder and those of its inputs."""
    with TemporaryDirectory() as folder:
        for name, content in recipe.files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        argv = ["sh", str(Path(folder, "steps", step.script))]
        runner.run(
            argv + ([step.argument] if step.argument else []),
            env={
                **os.environ,
                **env,
                "RECIPE": folder,
                "OUT": str(out),
                "PIP": " ".join(pip()),
                **{f"IN_{name.upper()}": str(path) for name, path in inputs.items()},
            },
            cwd=out,
        )


def check_base(lock: Lock, out: Path, plan: Plan) -> None:
    """Compare the base that was just made with the lock.

    Raises:
        StackwrightError: Debian no longer serves what was locked.
    """
    if hash_file(out / "rootfs.tar") == lock.base.digest:
        return
    changes = drift(lock.base, read_packages(out / "packages.txt"))
    shown = "\n".join(f"  {line}" for line in changes[:10])
    raise StackwrightError(
        f"the base is not the locked one: {len(changes)} Debian packages differ\n{shown}",
        hint=f"take what Debian serves now: stackwright lock --base-only '{plan.label}'",
    )


def adopt_base(recipe: Recipe, out: Path, store: Store) -> None:
    """Keep a base that was made for a lock as the output of the build's first step."""
    step = recipe.steps[0]

    def move(work: Path) -> None:
        shutil.copytree(out, work, dirs_exist_ok=True, copy_function=os.link)

    store.step(step.name, step_keys(recipe, "")[step.name], move)


def tree_hash_of(site: Site) -> Callable[[Path], str]:
    """The tree hash as the site's payload defines it: one definition for images and store."""
    path = site.root / "validation" / "cases" / "tree_hash.py"
    spec = util.spec_from_file_location("stackwright_tree_hash", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise StackwrightError(f"the site lacks {path}")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[Path], str] = module.tree_hash
    return function


def _artefact(plan: Plan, store: Store, outputs: Mapping[str, Path]) -> Artefact:
    import json

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
