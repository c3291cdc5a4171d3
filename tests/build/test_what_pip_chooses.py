"""What pip chooses, and what a user reads when it can't: a real pip, at wheels of our own."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from build_samples import LABEL

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import BUILD_TOOLS
from stackwright.locking.locks import Wheels
from stackwright.locking.piprefusal import ELSEWHERE
from stackwright.locking.solve import solve_wheels
from stackwright.plans.plan import resolve
from stackwright.tools.process import Runner, ToolError


def put_wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Requires-Dist: {need}\n" for need in needs]
    metadata += ["Provides-Extra: all\nProvides-Extra: gpu\n"]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "".join(metadata))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def solved(
    site: Site,
    *packages: str,
    prefer: Wheels | None = None,
    warn: Callable[[str], None] = lambda _text: None,
) -> Wheels:
    """What is chosen for a stack with these packages; its framework is ``frame``."""
    stack = site.root / "stacks/mini.yaml"
    text = re.sub("packages: .*", f"packages: [{', '.join(packages)}]", stack.read_text())
    stack.write_text(text.replace("numpy==2.2.6", "frame==1.0"))
    again = Site(site.root)
    return solve_wheels(resolve(again, parse(LABEL)), again, Runner(), prefer, warn)


def refused(site: Site, *packages: str) -> StackwrightError:
    """What is said of a stack with these packages."""
    with pytest.raises(StackwrightError) as caught:
        solved(site, *packages)
    return caught.value


def versions(wheels: Wheels) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in wheels.layers[-1].wheels}


@pytest.fixture
def chosen(site: Site, wheels: Path) -> Wheels:
    """What was chosen when these were the newest; there are newer ones now."""
    for tool in BUILD_TOOLS:
        put_wheel(wheels, *tool.split("=="))
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "aaa", "1.0", "bbb>=1")
    put_wheel(wheels, "bbb", "1.0")
    before = solved(site, "aaa")
    put_wheel(wheels, "aaa", "2.0", "bbb>=1")
    put_wheel(wheels, "bbb", "2.0")
    put_wheel(wheels, "ccc", "1.0")
    return before


def test_a_new_package_moves_no_other(site: Site, chosen: Wheels) -> None:
    assert versions(solved(site, "aaa", "ccc", prefer=chosen)) == {
        "aaa": "1.0",
        "bbb": "1.0",
        "ccc": "1.0",
    }
    assert versions(solved(site, "aaa")) == {"aaa": "2.0", "bbb": "2.0"}


def test_a_requirement_that_excludes_what_was_chosen_moves_that_alone(
    site: Site, chosen: Wheels
) -> None:
    assert versions(solved(site, "aaa>1", prefer=chosen)) == {"aaa": "2.0", "bbb": "1.0"}


def test_where_the_old_versions_cannot_stay_all_are_chosen_anew(
    site: Site, chosen: Wheels, wheels: Path
) -> None:
    put_wheel(wheels, "ddd", "1.0", "bbb>1")

    assert versions(solved(site, "aaa", "ddd", prefer=chosen)) == {
        "aaa": "2.0",
        "bbb": "2.0",
        "ddd": "1.0",
    }


def test_other_bytes_under_the_same_name_are_taken_only_when_all_is_chosen_anew(
    site: Site, chosen: Wheels, wheels: Path
) -> None:
    put_wheel(wheels, "bbb", "1.0", "ccc")

    with pytest.raises(StackwrightError, match="other bytes than when it was locked") as caught:
        solved(site, "aaa", "ccc", prefer=chosen)

    said, now = str(caught.value), solved(site, "aaa", "bbb<2")
    assert said.startswith("bbb-1.0-py3-none-any.whl has other bytes")
    assert {digest_of(chosen, "bbb"), digest_of(now, "bbb")} <= set(re.findall(r"sha256:\w+", said))
    assert str(caught.value.hint).endswith(f"stackwright lock --upgrade '{LABEL}'")


def digest_of(wheels: Wheels, name: str) -> str:
    return next(wheel.digest for wheel in wheels.installed if wheel.name == name)


def test_another_local_version_is_not_what_was_chosen(
    site: Site, chosen: Wheels, wheels: Path
) -> None:
    put_wheel(wheels, "bbb", "1.0+local")

    assert versions(solved(site, "aaa", "ccc", prefer=chosen))["bbb"] == "1.0"


def test_a_pre_release_stays_only_while_the_stack_asks_for_one(
    site: Site, chosen: Wheels, wheels: Path
) -> None:
    put_wheel(wheels, "ccc", "2.0rc1")
    before = solved(site, "ccc==2.0rc1")

    assert versions(solved(site, "ccc>=1", prefer=before)) == {"ccc": "1.0"}
    assert versions(solved(site, "ccc>=1rc1", prefer=before)) == {"ccc": "2.0rc1"}


def test_a_wheel_that_was_yanked_stays_with_a_warning(
    site: Site, chosen: Wheels, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wheel in wheels.glob("*.whl"):
        page = wheels.parent / "index" / wheel.name.split("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        yanked = "data-yanked='wrong sums'" if wheel.name.startswith("aaa-1") else ""
        with page.open("a") as links:
            links.write(f"<a href='{wheel.as_uri()}' {yanked}>{wheel.name}</a>")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", (wheels.parent / "index").as_uri())
    warnings: list[str] = []

    assert versions(solved(site, "aaa", prefer=chosen, warn=warnings.append))["aaa"] == "1.0"
    assert warnings == ["aaa 1.0 was yanked from its index: wrong sums"]


def test_a_version_that_is_nowhere_is_named_in_its_place(site: Site, wheels: Path) -> None:
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "aaa", "1.0")
    put_wheel(wheels, "aaa", "1.1")

    error = refused(site, "aaa==9.9")

    assert str(error) == (
        f"{site.root}/stacks/mini.yaml:15:16: pip finds no wheel of aaa==9.9 for Python 3.11 and"
        " glibc 2.36; the newest that it finds: 1.0, 1.1"
    )
    assert error.hint == f"ask for one of these, or: {ELSEWHERE}"


def test_a_package_that_is_nowhere_may_be_misspelt(site: Site, wheels: Path) -> None:
    put_wheel(wheels, "frame", "1.0")

    error = refused(site, "nmupy")

    assert error.what == "pip finds no wheel of nmupy for Python 3.11 and glibc 2.36"
    assert error.hint == f"is its name right? {ELSEWHERE}"


def test_what_a_package_needs_is_told_at_the_package(site: Site, wheels: Path) -> None:
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "aaa", "1.0", "bbb[x]>=2,<3")

    place, said = str(refused(site, "aaa")).split(": ", 1)

    assert place == f"{site.root}/stacks/mini.yaml:15:16"
    assert said.replace("bbb[x]", "bbb").startswith(  # pip 26 leaves the extra out
        "pip finds no wheel of bbb<3,>=2, which aaa needs,"
    )


def test_what_is_needed_for_an_extra_of_a_package_below_is_needed_as_well(
    site: Site, wheels: Path
) -> None:
    for tool in BUILD_TOOLS:
        put_wheel(wheels, *tool.split("=="))
    put_wheel(wheels, "frame", "1.0", "plugin[all]")
    put_wheel(wheels, "plugin", "1.0", 'plugin[gpu]; extra == "all"', 'library; extra == "gpu"')
    put_wheel(wheels, "library", "1.0")
    put_wheel(wheels, "aaa", "1.0")

    layers = {layer.name: layer.wheels for layer in solved(site, "aaa").layers}

    assert [wheel.name for wheel in layers["frame"]] == ["frame", "library", "plugin"]
    assert {wheel.name: wheel.needs for wheel in layers["frame"]}["plugin"] == ("library",)
    assert [wheel.name for wheel in layers["packages"]] == ["aaa"]


@pytest.mark.parametrize(("pin", "chosen"), [("==1.0", "1.0+cpu"), ("===1.0", "1.0")])
def test_a_pin_of_three_signs_takes_no_other_build_of_its_version(
    site: Site, wheels: Path, pin: str, chosen: str
) -> None:
    for tool in BUILD_TOOLS:
        put_wheel(wheels, *tool.split("=="))
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "torch", "1.0")
    put_wheel(wheels, "torch", "1.0+cpu")

    assert versions(solved(site, f"torch{pin}"))["torch"] == chosen


@pytest.mark.parametrize("version", ["1.0+cpu", "1.0"])
def test_the_cpu_index_is_named_only_where_it_would_help(
    site: Site, wheels: Path, version: str
) -> None:
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "torch", "2.0")

    error = refused(site, f"torch=={version}")

    assert ("PIP_EXTRA_INDEX_URL" in str(error.hint)) == version.endswith("+cpu")


def test_the_cpu_index_is_not_named_where_it_is_known(site: Site, wheels: Path) -> None:
    put_wheel(wheels, "frame", "1.0")
    put_wheel(wheels, "torch", "2.0+cpu")

    assert refused(site, "torch==1.0+cpu").hint == f"ask for one of these, or: {ELSEWHERE}"


def test_packages_that_do_not_go_together_are_named_with_the_reason(
    site: Site, wheels: Path
) -> None:
    put_wheel(wheels, "frame", "1.0", "bbb==1.0")
    put_wheel(wheels, "aaa", "1.0", "bbb==2.0")
    put_wheel(wheels, "bbb", "1.0")
    put_wheel(wheels, "bbb", "2.0")

    error = refused(site, "aaa")

    assert (
        str(error)
        .splitlines()[0]
        .startswith(f"{site.root}/stacks/mini.yaml:15:16: no versions go together of ")
    )
    assert {"  frame 1.0 depends on bbb==1.0", "  aaa 1.0 depends on bbb==2.0"} <= set(
        error.what.splitlines()
    )


def test_anything_else_is_told_in_pips_words(
    site: Site, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TIMEOUT", "soon")

    error = refused(site, "aaa")

    assert isinstance(error, ToolError)
    assert "invalid" in error.tail
    assert error.hint == ELSEWHERE


def test_what_is_asked_for_alone_comes_without_what_it_needs(site: Site, chosen: Wheels) -> None:
    """As tf-keras does beside tensorflow-cpu: it needs tensorflow, by another name."""
    del chosen

    found = solved(site, "aaa --no-deps")

    assert versions(found) == {"aaa": "2.0"}


def test_what_is_asked_for_alone_keeps_its_version(site: Site, chosen: Wheels) -> None:
    found = solved(site, "aaa --no-deps", prefer=chosen)

    assert versions(found) == {"aaa": "1.0"}
