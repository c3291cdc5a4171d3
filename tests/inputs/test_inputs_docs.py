"""The examples of the documentation are files that work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stackwright.fit import misfits
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The shipped stacks and systems, and the two of the documentation."""
    for folder in ("stacks", "systems", "validation", "images", "modules"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for kind, name in (("stack", "lightning"), ("system", "aurora-test")):
        text = (ROOT / "docs" / f"adding-a-{kind}.md").read_text()
        (example,) = re.findall(r"```yaml\n(# yaml-language-server.*?)```", text, re.DOTALL)
        (tmp_path / f"{kind}s" / f"{name}.yaml").write_text(example)
    return Site(tmp_path)


def test_the_examples_resolve(site: Site) -> None:
    plan = resolve(site, parse("lightning/2.6.6-cpu@aurora-test"))

    assert plan.frameworks == ("lightning==2.6.6", "torch==2.13.0+cpu")
    assert plan.machine.target == "zen3"


@pytest.mark.parametrize("system", ["local", "aurora-test"])
def test_the_examples_could_be_released(site: Site, system: str) -> None:
    assert misfits(site, parse(f"lightning/2.6.6-cpu@{system}")) == []


def test_the_example_of_a_variable_is_the_shipped_one() -> None:
    text = (ROOT / "docs" / "adding-a-system.md").read_text()
    example = text.split("```yaml\n")[-1].split("```")[0]

    assert example in (ROOT / "systems" / "policy" / "environment.yaml").read_text()
