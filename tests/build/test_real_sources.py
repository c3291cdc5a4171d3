"""A stack with something built from sources, really: it runs anywhere, and has the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from build_samples import LABEL
from real_samples import Mini, run, run_cli
from source_samples import RECIPE, add_source, write_sdist

from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import plan_hash, resolve
from stackwright.store import Store, remove_tree

pytestmark = [pytest.mark.real, pytest.mark.long]  # the toolchain and two builds: minutes


@pytest.fixture(scope="module")
def built(mini: Mini, tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """The small stack of the shared build, with the sources beside; the index is a folder."""
    folder = tmp_path_factory.mktemp("sources")
    run("cp", "-a", mini.site.root, folder / "site")
    site = add_source(folder / "site")
    (folder / "index").mkdir()
    write_sdist(folder / "index")
    environment = {**mini.environment, "PIP_FIND_LINKS": str(folder / "index")}
    run_cli("--site", str(site.root), "lock", LABEL, environment=environment)
    run_cli("--site", str(site.root), "build", LABEL, environment=environment)
    again = Site(site.root)
    record = mini.store.read_artefact(plan_hash(resolve(again, parse(LABEL))))
    assert record is not None
    return Mini(again, mini.store, record.model_dump(by_alias=True), environment)


def wheel_of(store: Store) -> Path:
    (wheel,) = store.path("steps/tiny-wheels").rglob("*.whl")
    return wheel


def test_what_was_built_runs_in_a_prefix_that_was_moved(built: Mini, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    run("cp", "-a", built.prefix, moved)

    said = run(moved / "bin/python3", "-c", "import tiny; print(*tiny.number())", env={})

    number, file = said.split()
    assert number == "42"  # the patch's
    assert not file.startswith("/")


def test_no_path_of_the_build_is_left(built: Mini) -> None:
    with zipfile.ZipFile(wheel_of(built.store)) as wheel:
        (library,) = [name for name in wheel.namelist() if name.endswith(".so")]
        content = wheel.read(library)

    assert b"/work" not in content
    assert b"/opt/stackwright" not in content
    assert b"$ORIGIN/../..\0" in content  # the prefix's lib, where setup.py named it by its path


def test_a_second_build_gives_the_same_bytes_and_a_third_does_nothing(built: Mini) -> None:
    first = wheel_of(built.store).read_bytes()
    remove_tree(built.store.path("steps/tiny-wheels"))
    artefact = built.store.artefact_path(built.artefact["plan_hash"])
    artefact.unlink()

    run_cli("--site", str(built.site.root), "build", LABEL, environment=built.environment)

    assert wheel_of(built.store).read_bytes() == first
    begun = wheel_of(built.store).stat().st_mtime_ns
    run_cli("--site", str(built.site.root), "build", LABEL, environment=built.environment)
    assert wheel_of(built.store).stat().st_mtime_ns == begun


def test_a_need_that_was_not_told_ends_the_build(built: Mini) -> None:
    assert "needs: [packaging]" in RECIPE
    recipe = built.site.root / "recipes/sources/tiny.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("needs: [packaging]", "needs: []"))
    try:
        run_cli("--site", str(built.site.root), "lock", LABEL, environment=built.environment)
        with pytest.raises(AssertionError):
            run_cli("--site", str(built.site.root), "build", LABEL, environment=built.environment)
    finally:
        recipe.write_text(text)
    log = max(built.store.path("logs").glob("tiny-wheels-*.log"), key=lambda p: p.stat().st_mtime)
    assert "needs packaging: name it under 'needs'" in log.read_text()
