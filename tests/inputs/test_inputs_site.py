"""Sites: how one is found, and how a centre gets its own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.newsite import FOLDERS, README, init_site
from stackwright.inputs.schemas import MODELS
from stackwright.inputs.site import Site, find_site, shipped_content
from stackwright.inputs.systems import store_path
from stackwright.plans.plan import plan_hash, resolve


def test_the_option_wins_over_the_variable_and_that_over_the_directory(site_folder: Path) -> None:
    other = site_folder.parent / "other"
    for name in ("stacks", "systems"):
        (other / name).mkdir(parents=True)
    environ = {"STACKWRIGHT_SITE": str(other)}

    assert find_site(site_folder, environ, other).root == site_folder
    assert find_site(None, environ, site_folder).root == other
    assert find_site(None, {}, site_folder / "stacks" / "overlays").root == site_folder


def test_elsewhere_the_shipped_content_is_read(tmp_path: Path) -> None:
    site = find_site(None, {}, tmp_path)

    assert site.root == shipped_content()
    assert "pytorch" in site.stack_names


def test_a_folder_that_is_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="is not a site") as caught:
        find_site(tmp_path, {}, tmp_path)
    assert caught.value.hint == f"make one with: stackwright init {tmp_path}"


@pytest.mark.parametrize("option", [True, False])
def test_a_folder_with_other_things_is_not_offered_to_init(tmp_path: Path, option: bool) -> None:
    (tmp_path / "mysite").touch()
    environ = {} if option else {"STACKWRIGHT_SITE": str(tmp_path)}

    with pytest.raises(StackwrightError) as caught:
        find_site(tmp_path if option else None, environ, tmp_path)

    source = "" if option else " (from STACKWRIGHT_SITE)"
    assert caught.value.what == (
        f"{tmp_path}{source} is not a site: it has no folders stacks and systems"
    )
    assert caught.value.hint == f"make one with: stackwright init {tmp_path}/mysite-2"


@pytest.mark.parametrize("mark", ["stacks", "systems"])
def test_a_site_that_lost_a_folder_is_not_passed_over_for_one_above(
    site_folder: Path, mark: str
) -> None:
    inner = site_folder / "inner"
    shutil.copytree(site_folder, inner, ignore=shutil.ignore_patterns("inner", mark))

    for cwd in (inner, inner / "validation"):
        with pytest.raises(StackwrightError) as caught:
            find_site(None, {}, cwd)
        assert caught.value.what == f"the site {inner} has lost its folder {mark}"
    with pytest.raises(StackwrightError, match=f"is not a site: it has no folder {mark}$"):
        find_site(inner, {}, site_folder)


def test_one_folder_alone_does_not_make_a_site(site_folder: Path) -> None:
    (site_folder / "inner/systems").mkdir(parents=True)

    assert find_site(None, {}, site_folder / "inner").root == site_folder


def test_a_folder_of_a_site_leads_to_the_site(site_folder: Path) -> None:
    with pytest.raises(StackwrightError, match="is not a site") as caught:
        find_site(site_folder / "stacks", {}, site_folder)

    assert caught.value.hint == f"it is in one: --site {site_folder}"


def test_init_copies_everything_and_plans_are_the_same(tmp_path: Path) -> None:
    init_site(tmp_path / "mysite")
    mine, shipped = Site(tmp_path / "mysite"), Site(shipped_content())

    assert {path.name for path in mine.root.iterdir()} == {*FOLDERS, README}
    for label in shipped.labels:
        assert plan_hash(resolve(mine, label)) == plan_hash(resolve(shipped, label))


def test_init_takes_an_empty_folder_and_no_other(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "notes").touch()

    init_site(empty)

    assert (empty / "stacks" / "pytorch.yaml").is_file()
    with pytest.raises(StackwrightError, match="not an empty folder") as caught:
        init_site(full)
    assert caught.value.hint == f"name a new folder: stackwright init {full}/mysite"
    assert [path.name for path in full.iterdir()] == ["notes"]


def test_init_over_a_site_leads_there(site_folder: Path) -> None:
    with pytest.raises(StackwrightError, match="not an empty folder") as caught:
        init_site(site_folder)

    assert caught.value.hint == f"it is a site: cd {site_folder} && stackwright list"


def test_init_of_the_empty_current_folder_names_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StackwrightError, match="while you are in it") as caught:
        init_site(Path())

    assert caught.value.hint == "name a new folder: stackwright init mysite"


def test_a_new_site_has_schemas_for_editors_and_says_where_the_documentation_is(
    tmp_path: Path,
) -> None:
    init_site(tmp_path / "mysite")

    schemas = {path.stem for path in (tmp_path / "mysite/docs/schemas").glob("*.json")}
    assert schemas == set(MODELS)
    links = re.findall(r"\]\((.*?)\)", (tmp_path / "mysite" / README).read_text())
    assert "docs/maintainer.md" in links
    assert [link for link in links if not (tmp_path / "mysite" / link).is_file()] == []


# Names of files


def test_files_with_a_wrong_suffix_are_mistakes_told_with_the_others(site_folder: Path) -> None:
    (site_folder / "stacks/foo.yml").touch()
    (site_folder / "stacks/wrong.yaml").write_text("name: 1\n")
    (site_folder / "systems/laptop.YAML").touch()
    (site_folder / "validation/suites/certify.yaml").rename(
        site_folder / "validation/suites/certify.yml"
    )

    with pytest.raises(ManyErrors) as caught:
        _ = Site(site_folder).labels

    told = {str(error): error.hint for error in caught.value.errors}
    assert told["stacks/foo.yml: the name must end in .yaml, not .yml"] == (
        "mv stacks/foo.yml stacks/foo.yaml"
    )
    assert told["systems/laptop.YAML: the name must end in .yaml, not .YAML"] == (
        "systems/laptop.yaml is there as well: remove one of them"
    )
    assert told["validation/suites/certify.yml: the name must end in .yaml, not .yml"] == (
        "mv validation/suites/certify.yml validation/suites/certify.yaml"
    )
    assert any(what.startswith("stacks/wrong.yaml:1:7:") for what in told)


def test_a_suite_with_a_wrong_suffix_is_named_when_it_is_asked_for(site_folder: Path) -> None:
    (site_folder / "validation/suites/mine.yml").touch()

    with pytest.raises(ManyErrors, match=r"suites/mine\.yml: the name must end in \.yaml"):
        Site(site_folder).suite_file("mine")


def test_a_wrong_suffix_does_not_stop_another_stack(site_folder: Path) -> None:
    (site_folder / "stacks/foo.yml").touch()

    assert Site(site_folder).labels_like("demo@laptop")


def test_init_leaves_nothing_behind_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stackwright.inputs.newsite.shutil.copytree", fail)

    with pytest.raises(StackwrightError, match="No space left on device"):
        init_site(tmp_path / "mysite")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_stack_suggests(site_folder: Path) -> None:
    with pytest.raises(StackwrightError, match=r"no stack 'dmeo' \(did you mean 'demo'\?\)"):
        Site(site_folder).stack("dmeo")


def test_where_the_store_is(site_folder: Path) -> None:
    laptop = Site(site_folder).system("laptop")
    cwd = Path("/here")

    assert store_path(laptop, None, {"DEMO_ROOT": "/data"}, cwd) == Path("/data/store")
    assert store_path(laptop, None, {"STACKWRIGHT_STORE": "s"}, cwd) == Path("/here/s")
    assert store_path(laptop, Path("t"), {"STACKWRIGHT_STORE": "s"}, cwd) == Path("/here/t")
    with pytest.raises(StackwrightError, match=r"but \$DEMO_ROOT is not set"):
        store_path(laptop, None, {}, cwd)
    with pytest.raises(
        StackwrightError, match=r"is \$\{DEMO_ROOT\}/store, here data/store: not an"
    ):
        store_path(laptop, None, {"DEMO_ROOT": "data"}, cwd)


@pytest.mark.parametrize("store", ["stores/demo", "./store", "../store", "~someone/store"])
def test_a_store_in_a_file_does_not_depend_on_where_the_command_runs(
    site_folder: Path, store: str
) -> None:
    file = site_folder / "systems" / "laptop.yaml"
    file.write_text(file.read_text().replace("${DEMO_ROOT}/store", store))

    with pytest.raises(ManyErrors) as caught:
        Site(site_folder).system("laptop")

    assert str(caught.value) == (
        f"systems/laptop.yaml:6:8: '{store}' is not an absolute path; it may begin with ~/ and hold"
        " ${VARIABLES}"
    )


def test_locks_lie_beside_the_stacks(site_folder: Path) -> None:
    path = Site(site_folder).lock_file(parse("demo/2.10-cpu@laptop"))

    assert path == site_folder / "stacks" / "locks" / "demo-2.10-cpu@laptop.lock.json"


def link_out(site: Path, name: str) -> None:
    """Put a link to a file outside in the place of one of the site's own."""
    outside = site.parent / "outside" / Path(name).name
    outside.parent.mkdir(exist_ok=True)
    (site / name).rename(outside)
    (site / name).symlink_to(outside)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("stacks/demo.yaml", lambda site: site.stack("demo")),
        ("systems/laptop.yaml", lambda site: site.system("laptop")),
        ("systems/policy/environment.yaml", lambda site: site.environment),
        ("validation/suites/certify.yaml", lambda site: site.suite_file("certify")),
        ("stacks", lambda site: site.stack("demo")),
    ],
)
def test_a_file_of_the_site_that_is_a_link_out_of_it_is_refused(
    site_folder: Path, name: str, read: Callable[[Site], object]
) -> None:
    read(Site(site_folder))
    link_out(site_folder, name)

    with pytest.raises(StackwrightError, match="the link leads out of"):
        read(Site(site_folder))


def test_a_link_within_the_site_is_followed(site_folder: Path) -> None:
    (site_folder / "shared.yaml").write_bytes((site_folder / "stacks/demo.yaml").read_bytes())
    (site_folder / "stacks/demo.yaml").unlink()
    (site_folder / "stacks/demo.yaml").symlink_to("../shared.yaml")

    assert Site(site_folder).stack("demo").name == "demo"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away: run the tests as root")
@pytest.mark.parametrize("part", ["", "systems"])
def test_a_site_of_another_account_is_one_only_if_it_is_named(part: str, site_folder: Path) -> None:
    os.chown(site_folder / part, 65534, 65534)

    with pytest.raises(StackwrightError, match="belongs to another account") as caught:
        find_site(None, {}, site_folder / "stacks")

    assert f"--site {site_folder}" in (caught.value.hint or "")
    assert find_site(site_folder, {}, site_folder).root == site_folder
