"""A build with nothing to do, beside a fully cached `podman build` of the same Containerfile.

Both are whole processes. podman gets the very context that the image was built from; it finds each
of its steps in its cache. The store (--store, else STACKWRIGHT_STORE, else .stackwright) gets a
build first if it has none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import measure
from stackwright.building.providers.steps import step_keys
from stackwright.building.recipe import render, write_recipe
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked
from stackwright.plans.plan import resolve
from stackwright.store import Store
from stackwright.tools.engines import choose, environment
from stackwright.tools.process import Runner

GOAL_S = 0.5
STACKWRIGHT, PODMAN = "`stackwright build`", "cached `podman build`"


def main() -> None:
    """Print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    chosen = parser.parse_args()
    store = Store(chosen.store.absolute())
    store.root.mkdir(parents=True, exist_ok=True)
    with measure.copied_site() as site, tempfile.TemporaryDirectory(dir=store.root) as folder:
        ours = [measure.STACKWRIGHT, "--site", str(site), "--store", str(store.root), "build"]
        measure.seconds([*ours, measure.LABEL])
        theirs, env = podman_build(Site(site), store, Path(folder))
        measure.seconds(theirs, env)  # one that may fill the cache
        hits = cached_steps(theirs, env)
        sides: dict[str, measure.Side] = {
            STACKWRIGHT: lambda: measure.seconds([*ours, measure.LABEL]),
            PODMAN: lambda: measure.seconds(theirs, env),
        }
        samples = measure.take_turns(sides, rounds=1 if chosen.quick else 7)
        processor = {name: measure.processor_seconds(side) for name, side in sides.items()}
    print(report(samples, processor, hits))


def podman_build(site: Site, store: Store, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command of a build of the rendered Containerfile, in the context of the image step."""
    runner = Runner()
    podman = choose(["podman"], store, runner)
    plan = resolve(site, parse(measure.LABEL))
    recipe = render(plan, locked(plan, site), site)
    keys = step_keys(recipe, podman.name)
    write_recipe(recipe, folder / "recipe")
    context = folder / "context"
    (context / "mounts/stackwright/out").mkdir(parents=True)
    (context / "mounts/stackwright/payload").mkdir()
    layers = [(name, name, "tree") for name in recipe.settings["LAYERS"].strip("'").split()]
    for name, step, tree in (*layers, ("own", "prefix", "own")):
        source = store.root / "steps" / step / keys[step].removeprefix("sha256:") / tree
        shutil.copytree(source, context / name, copy_function=os.link, symlinks=True)
    epoch = recipe.settings["SOURCE_DATE_EPOCH"]
    argv = ["podman", "build", "--network", "none", "--timestamp", epoch, "-t"]
    argv += ["localhost/stackwright/benchmark:noop", "-f", str(folder / "recipe/Containerfile")]
    return [*argv, str(context)], environment(podman)


def cached_steps(argv: list[str], env: Mapping[str, str]) -> str:
    """How many of the build's steps podman finds in its cache; the first, FROM, needs none."""
    done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True)
    steps = len(re.findall(r"^STEP \d+/", done.stdout, re.MULTILINE))
    return f"{done.stdout.count('Using cache')} of {steps - 1}"


def report(samples: measure.Samples, processor: Mapping[str, float], hits: str) -> str:
    """The table, the processor time of one more round, and whether the goal is met."""
    busy = ", ".join(f"{name} {measure.number(value)} s" for name, value in processor.items())
    return "\n\n".join(
        [
            measure.comparison(samples, PODMAN),
            f"podman found {hits} steps in its cache.",
            f"Processor time, which the machine's load hardly changes: {busy}.",
            measure.verdict(
                "a build with nothing to do takes", median(samples[STACKWRIGHT]), GOAL_S
            ),
        ]
    )


if __name__ == "__main__":
    main()
