"""`run` and `job` give users what was certified, with what was injected into it, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_samples import LABEL, make_site

from stackwright.canonical import canonical_json
from stackwright.certify.artefact import Artefact
from stackwright.cli import workshop
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import plan_hash, resolve
from stackwright.store import Store
from stackwright.workshop import Workshop

FABRIC = """\
name: fabric
why: Only the site's fabric settings were measured.
source: https://docs.example.org/fabric
env: {FABRIC: hsn}
"""


class Released:
    """A label that was released with an injection; whether it was certified is not asked here."""

    def __init__(self, folder: Path) -> None:
        self.root = make_site(folder / "site")
        self.system = self.root / "systems/bench.yaml"
        self.injection = self.root / "systems/injections/fabric.yaml"
        self.injection.parent.mkdir()
        self.injection.write_text(FABRIC)
        self.without = self.system.read_text()
        self.system.write_text(f"{self.without}injections: [fabric]\n")
        self.store = Store(folder / "store")
        plan = resolve(Site(self.root), parse(LABEL))
        self.plan = self.store.path("steps/prefix/1/prefix/share/stackwright/plan.json")
        self.plan.parent.mkdir(parents=True)
        self.plan.write_bytes(canonical_json(plan.to_json()))
        part = {"digest": f"sha256:{64 * 'b'}", "path": "steps/prefix/1/prefix", "bytes": 1}
        image = {"digest": part["digest"], "config": part["digest"], "oci": "oci", "bytes": 1}
        self.artefact = Artefact.model_validate(
            {
                "schema": "stackwright/artefact/1",
                "label": LABEL,
                "plan_hash": plan_hash(plan),
                "image": image,
                "squashfs": part,
                "prefix": part,
            }
        )

    def to_run(self) -> Artefact:
        return workshop.released_to_run(
            Workshop(Site(self.root), parse(LABEL), self.store), "release it"
        )


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    made = Released(tmp_path)
    monkeypatch.setattr(workshop, "released", lambda _shop, _hint: (made.artefact, None))
    return made


def test_what_is_injected_as_it_was_is_run(released: Released) -> None:
    assert released.to_run() is released.artefact


def test_what_else_has_changed_since_is_the_next_releases(released: Released) -> None:
    stack = released.root / "stacks/mini.yaml"
    stack.write_text(stack.read_text().replace("summary: ", "summary: Another. "))

    assert released.to_run() is released.artefact


def test_what_is_injected_otherwise_is_not_run(released: Released) -> None:
    released.injection.write_text(FABRIC.replace("hsn", "mgmt"))

    with pytest.raises(StackwrightError, match="what 'bench' injects has changed"):
        released.to_run()


def test_what_is_injected_no_more_is_not_run_without(released: Released) -> None:
    released.system.write_text(released.without)

    with pytest.raises(StackwrightError, match="what 'bench' injects has changed"):
        released.to_run()


def test_a_plan_that_was_changed_in_the_store_tells_nothing(released: Released) -> None:
    released.system.write_text(released.without)
    text = released.plan.read_bytes()
    released.plan.write_bytes(text.replace(b'"FABRIC"', b'"CIRBAF"'))

    with pytest.raises(StackwrightError, match="is not the one that was certified"):
        released.to_run()
