"""The examples of the documentation are files that work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stackwright.fit import misfits
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.systems import System
from stackwright.plans.plan import resolve

ROOT = Path(__file__).parents[2]
INJECTION = "systems/injections/site-mpi"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The shipped stacks and systems, and those of the documentation."""
    for folder in ("stacks", "systems", "validation", "images", "modules"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    pages = {"stack": ["stacks/lightning"], "system": ["systems/aurora-test", INJECTION]}
    for kind, names in pages.items():
        text = (ROOT / "docs" / f"adding-a-{kind}.md").read_text()
        examples = re.findall(r"```yaml\n(# yaml-language-server.*?)```", text, re.DOTALL)
        for name, example in zip(names, examples, strict=True):
            (tmp_path / f"{name}.yaml").write_text(example)
    return Site(tmp_path)


def test_the_examples_resolve(site: Site) -> None:
    plan = resolve(site, parse("lightning/2.6.6-cpu@aurora-test"))

    assert plan.frameworks == ("lightning==2.6.6", "torch==2.13.0+cpu")
    assert plan.machine.target == "zen3"


@pytest.mark.parametrize("system", ["local", "aurora-test"])
def test_the_examples_could_be_released(site: Site, system: str) -> None:
    assert misfits(site, parse(f"lightning/2.6.6-cpu@{system}")) == []


def test_the_example_of_an_injection_can_be_used_with_a_shipped_one(site: Site) -> None:
    file = site.root / "systems/aurora-test.yaml"
    file.write_text(file.read_text().replace("[nvidia-driver]", "[nvidia-driver, site-mpi]"))

    assert [each.name for each in site.injections("aurora-test")] == ["nvidia-driver", "site-mpi"]


def test_each_field_of_a_system_has_a_reader() -> None:
    text = (ROOT / "docs" / "adding-a-system.md").read_text()
    table = text.partition("## Who reads what")[2].partition("\n## ")[0]
    told = {name for row in table.splitlines() for name in re.findall("`([a-z_]+)`", row[:40])}

    assert {*System.model_fields} <= {*told, "name", "summary"}


def test_the_example_of_a_variable_is_the_shipped_one() -> None:
    text = (ROOT / "docs" / "adding-a-system.md").read_text()
    example = text.split("```yaml\n")[-1].split("```")[0]

    assert example in (ROOT / "systems" / "policy" / "environment.yaml").read_text()
