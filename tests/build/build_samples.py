"""A site with the repository's own templates and one small stack, and a lock that never changes."""

from __future__ import annotations

import shutil
from pathlib import Path

from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs
from stackwright.locking.locks import Lock, load_lock
from stackwright.plans.plan import Plan, resolve

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LABEL = "mini/1.0-cpu@bench"
FIXED_LOCK = HERE / "mini.lock.json"


def make_site(folder: Path) -> Path:
    """The small stack, with the templates and scripts that are shipped."""
    shutil.copytree(HERE / "mini", folder)
    for name in ("images", "modules", "systems/policy", "validation/cases"):
        shutil.copytree(REPOSITORY / name, folder / name)
    return folder


def fixed_lock(plan: Plan) -> Lock:
    """A lock with invented hashes that fits whatever the plan asks for."""
    return load_lock(FIXED_LOCK).model_copy(update={"inputs": lock_inputs(plan)})


def rendered(site: Site) -> Recipe:
    plan = resolve(site, parse(LABEL))
    return render(plan, fixed_lock(plan), site)
