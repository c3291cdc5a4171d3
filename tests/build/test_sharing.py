"""Locks of one system agree, so that its stacks share layers; where they don't, `lock` says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_samples import FIXED_LOCK, LABEL, fixed_lock, make_site

from stackwright.building.providers.steps import step_keys
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs
from stackwright.locking.locks import Lock, load_lock
from stackwright.locking.sharing import neighbours, preferred, unshared
from stackwright.locking.solve import solve_base
from stackwright.plans.plan import resolve
from stackwright.store import Store
from stackwright.tools.process import Runner

OTHER = "maxi/1.0-cpu@bench"


@pytest.fixture
def pair(tmp_path: Path) -> Site:
    """The small stack, locked, and another of the same packages."""
    root = make_site(tmp_path / "site")
    text = (root / "stacks/mini.yaml").read_text()
    (root / "stacks/maxi.yaml").write_text(text.replace("name: mini", "name: maxi"))
    site = Site(root)
    path = site.lock_file(parse(LABEL))
    path.parent.mkdir()
    path.write_bytes(fixed_lock(resolve(site, parse(LABEL))).to_json())
    return Site(root)


def of_the_other(site: Site) -> Lock:
    plan = resolve(site, parse(OTHER))
    update = {"label": OTHER, "inputs": lock_inputs(plan)}
    return load_lock(FIXED_LOCK).model_copy(update=update)


def test_a_new_lock_prefers_the_versions_of_the_systems_other_locks(pair: Site) -> None:
    others = neighbours(pair, resolve(pair, parse(OTHER)))

    assert [lock.label for lock in others] == [LABEL]
    found = preferred(others)
    assert found is not None
    assert {wheel.name for wheel in found.installed} == {"numpy", "mpi4py", "mpich"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stacks/mini.yaml", "numpy==2.2.6", "numpy==2.2.5"),
        ("stacks/mini.yaml", "name: mini", "naem: mini"),
        ("stacks/locks/mini-1.0-cpu@bench.lock.json", "lock/2", "lock/1"),
    ],
)
def test_locks_that_do_not_fit_or_cannot_be_read_are_no_neighbours(
    pair: Site, file: str, old: str, new: str
) -> None:
    path = pair.root / file
    path.write_text(path.read_text().replace(old, new))
    again = Site(pair.root)

    assert neighbours(again, resolve(again, parse(OTHER))) == []


def test_what_differs_in_a_layer_that_could_be_shared_is_told(pair: Site) -> None:
    others = neighbours(pair, resolve(pair, parse(OTHER)))
    lock = of_the_other(pair)
    layer, *more = lock.wheels.layers
    newer = layer.wheels[0].model_copy(update={"version": "2.3.0"})
    layers = (layer.model_copy(update={"wheels": (newer,)}), *more)
    wheels = lock.wheels.model_copy(update={"layers": layers})
    base = lock.base.model_copy(update={"digest": "sha256:" + "9" * 64})

    assert [*unshared(lock, others)] == []
    assert [*unshared(lock.model_copy(update={"wheels": wheels, "base": base}), others)] == [
        f"its base is another than that of {LABEL}, and can't be shared: other files",
        f"its layer numpy is another than that of {LABEL}, and can't be shared:"
        " numpy 2.2.6 -> 2.3.0",
    ]


def test_a_base_that_another_stack_has_is_not_made_again(pair: Site, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    plan = resolve(pair, parse(OTHER))
    lock = of_the_other(pair)
    store.step("base", step_keys(render(plan, lock, pair), "")["base"], lambda _out: None)

    assert solve_base(plan, pair, store, Runner(), [lock.base]) == lock.base
