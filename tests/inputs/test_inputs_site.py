"""Sites: how one is found, and how a centre gets its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.newsite import FOLDERS, init_site
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


def test_init_copies_everything_and_plans_are_the_same(tmp_path: Path) -> None:
    init_site(tmp_path / "mysite")
    mine, shipped = Site(tmp_path / "mysite"), Site(shipped_content())

    assert {path.name for path in mine.root.iterdir()} == set(FOLDERS)
    for label in shipped.labels:
        assert plan_hash(resolve(mine, label)) == plan_hash(resolve(shipped, label))


def test_init_takes_an_empty_folder_and_no_other(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "notes").touch()

    init_site(empty)

    assert (empty / "stacks" / "pytorch.yaml").is_file()
    with pytest.raises(StackwrightError, match="not an empty folder"):
        init_site(full)
    assert [path.name for path in full.iterdir()] == ["notes"]


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


def test_locks_lie_beside_the_stacks(site_folder: Path) -> None:
    path = Site(site_folder).lock_file(parse("demo/2.10-cpu@laptop"))

    assert path == site_folder / "stacks" / "locks" / "demo-2.10-cpu@laptop.lock.json"
