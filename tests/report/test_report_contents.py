"""Whatever differs between the released stack's plan and lock and the candidate's is shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_fixtures as fixtures

from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.plans.plandiff import fields
from stackwright.report import Plan, ReportData, render_html, render_json
from stackwright.report.changes import changes
from stackwright.report.contents import plan_of

SITE = Site(Path(__file__).parents[2])
LABEL = parse(fixtures.LABEL)
SAME = {"label", "inputs", "schema"}  # of a lock: says again what other fields say


@pytest.fixture(scope="module")
def contents() -> dict[str, Any]:
    """Plan and lock of a label of the repository, as a build leaves them."""
    lock = json.loads(SITE.lock_file(LABEL).read_bytes())
    return {"plan.json": resolve(SITE, LABEL).to_json(), "lock.json": lock}


def prefix(folder: Path, contents: dict[str, Any], **overlay: str) -> Plan:
    """What is read from a prefix with these files, laid out as the step `prefix` does."""
    for root in (folder / "own", folder / "prefix"):
        own = root / "share/stackwright"
        own.mkdir(parents=True)
        for name, value in contents.items():
            (own / name).write_text(json.dumps(value))
        for name, text in overlay.items():
            (root / name).write_text(text)
    return plan_of(folder / "prefix")


def compared(old: Plan, new: Plan) -> ReportData:
    data = fixtures.pass_compared()
    assert data.previous is not None
    return replace(data, plan=new, previous=replace(data.previous, plan=old))


def listed(old: Plan, new: Plan, about: str) -> list[tuple[str, str]]:
    """The kind and name of each change in one list of the JSON; the page has them all."""
    data = compared(old, new)
    found = json.loads(render_json(data))["changes"][about]
    page = render_html(data)
    for change in found:
        assert f'{change["name"]} <span class="kind {change["kind"]}">' in page
    return [(change["kind"], change["name"]) for change in found]


def test_an_overlay_is_shown_by_its_files(tmp_path: Path, contents: dict[str, Any]) -> None:
    old = prefix(tmp_path / "old", contents, hook="import os", same="1", gone="1")
    new = prefix(tmp_path / "new", contents, hook="import sys", same="1", more="1")

    assert listed(old, new, "overlay") == [
        ("removed", "gone"),
        ("changed", "hook"),
        ("added", "more"),
    ]


def test_an_overlay_s_link_and_mode_count(tmp_path: Path, contents: dict[str, Any]) -> None:
    old = prefix(tmp_path / "old", contents, tool="1", data="1")
    for root in (tmp_path / "old/own", tmp_path / "old/prefix"):
        (root / "link").symlink_to("tool")
        (root / "tool").chmod(0o755)

    assert plan_of(tmp_path / "old/prefix").overlay["link"] == "-> tool"
    assert plan_of(tmp_path / "old/prefix").overlay["tool"] != old.overlay["data"]


def test_a_wheel_with_other_bytes_is_shown(tmp_path: Path, contents: dict[str, Any]) -> None:
    rebuilt = copy.deepcopy(contents)
    wheel = rebuilt["lock.json"]["wheels"]["layers"][0]["wheels"][0]
    wheel["digest"] = fixtures.digest("rebuilt")

    old, new = prefix(tmp_path / "old", contents), prefix(tmp_path / "new", rebuilt)

    assert listed(old, new, "wheels") == [("changed", f"{wheel['name']} {wheel['version']}")]
    assert listed(old, new, "packages") == []


def test_a_package_that_spack_builds_otherwise_is_shown(tmp_path: Path) -> None:
    label = parse("fftw/3.3.10-source@local")
    lock = json.loads(SITE.lock_file(label).read_bytes())
    spack = json.loads(SITE.spack_lock_file(label).read_bytes())["lock"]
    of_fftw = {"plan.json": resolve(SITE, label).to_json(), "lock.json": lock, "spack.lock": spack}
    changed = copy.deepcopy(of_fftw)
    for package in changed["spack.lock"]["concrete_specs"].values():
        if package["name"] == "fftw":
            package["parameters"]["openmp"] = False

    old, new = prefix(tmp_path / "old", of_fftw), prefix(tmp_path / "new", changed)

    assert listed(old, new, "by_spack") == [("changed", "fftw")]
    was, now = old.by_spack["fftw"], new.by_spack["fftw"]
    assert was.startswith("@3.3.10 %gcc@12.2.0 ")
    assert " +openmp " in was
    assert now == was.replace("+openmp", "~openmp")
    assert " (external) " in old.by_spack["gcc"]
    page = render_html(replace(fixtures.pass_baseline(), plan=old))
    assert f"of Python and {len(old.by_spack)} of Spack" in page


@pytest.mark.parametrize(
    ("name", "path", "field"),
    [
        ("plan.json", ("python",), "python"),
        ("plan.json", ("mpi",), "mpi"),
        ("plan.json", ("machine", "mpi"), "machine.mpi"),
        ("lock.json", ("base", "digest"), "lock.base.digest"),
    ],
)
def test_another_field_is_shown_by_its_name(
    name: str, path: tuple[str, ...], field: str, tmp_path: Path, contents: dict[str, Any]
) -> None:
    changed = copy.deepcopy(contents)
    *outer, last = path
    holder = changed[name]
    for key in outer:
        holder = holder[key]
    holder[last] = "other"

    old, new = prefix(tmp_path / "old", contents), prefix(tmp_path / "new", changed)

    assert listed(old, new, "fields") == [("changed", field)]


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder of a plain value, and the key or index of it.

    What a wheel needs stands in the wheel itself, whose digest is a leaf.
    """
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if key == "needs":
            continue
        if isinstance(inner, (dict, list)):
            yield from leaves(inner)
        else:
            yield value, key


def test_no_change_of_plan_or_lock_is_left_out(tmp_path: Path, contents: dict[str, Any]) -> None:
    old = prefix(tmp_path / "old", contents)
    changed = copy.deepcopy(contents)
    parts = [changed["plan.json"], {k: v for k, v in changed["lock.json"].items() if k not in SAME}]
    lost = []
    for number, (holder, key) in enumerate(leaf for part in parts for leaf in leaves(part)):
        before, holder[key] = holder[key], "0.other"
        found = changes(compared(old, prefix(tmp_path / str(number), changed)))
        assert found is not None
        if not (found.packages or found.env or found.os_packages or found.wheels or found.fields):
            lost.append((key, before))
        holder[key] = before

    # A wheel's file name says no more than its version and its bytes.
    assert [leaf for leaf in lost if leaf[0] != "file"] == []


def test_elements_that_share_a_name_hide_no_change() -> None:
    assert fields({"packages": ["numpy>=2", "numpy<3"]}) == {"packages[numpy]": "numpy>=2, numpy<3"}
