"""What a user reads when mmdebstrap makes no base: its last words, as version 1.3.5 prints them."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_samples import LABEL

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.solve import solve_base
from stackwright.plans.plan import resolve
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError

UPDATE = "E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed"
INSTALL = (
    "E: setup failed: E: apt-get -o DPkg::Chroot-Directory=/tmp/x --yes install"
    " -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false libstdc++6 pyton3.11 failed"
)


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, for a test to write, before all others on PATH."""
    program = tmp_path / "bin/mmdebstrap"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def refused(site: Site, mmdebstrap: Path, words: str, right: str, wrong: str) -> StackwrightError:
    """What is said where one thing in the system file is mistyped, and mmdebstrap ends so."""
    mmdebstrap.write_text(
        f"#!/bin/sh\ncat <<'END'\n{words}\nE: mmdebstrap failed to run\nEND\nexit 25\n"
    )
    system = site.root / "systems/bench.yaml"
    system.write_text(system.read_text().replace(right, wrong))
    again = Site(site.root)
    store = Store(site.root.with_name("store"))
    with pytest.raises(StackwrightError) as caught:
        solve_base(resolve(again, parse(LABEL)), again, store, Runner())
    return caught.value


def test_a_suite_that_debian_does_not_have_is_named_in_its_place(
    site: Site, mmdebstrap: Path
) -> None:
    error = refused(site, mmdebstrap, UPDATE, "bookworm", "bookwrm")

    assert str(error) == (
        f"{site.root}/systems/bench.yaml:8:10: mmdebstrap can't read the Debian suite 'bookwrm'"
    )
    assert error.hint == (
        "is its name right, and Debian's mirror within reach? apt says more:"
        " mmdebstrap --simulate --include=libstdc++6,python3.11 bookwrm /dev/null"
    )


def test_packages_that_the_suite_does_not_have_are_told_in_their_place(
    site: Site, mmdebstrap: Path
) -> None:
    error = refused(site, mmdebstrap, INSTALL, "python3.11", "pyton3.11")

    assert str(error) == (
        f"{site.root}/systems/bench.yaml:9:13: mmdebstrap can't install these packages from the"
        " Debian suite 'bookworm'"
    )
    assert error.hint == (
        "are their names right? apt says more:"
        " mmdebstrap --simulate --include=libstdc++6,pyton3.11 bookworm /dev/null"
    )


def test_anything_else_is_told_in_mmdebstraps_words(site: Site, mmdebstrap: Path) -> None:
    error = refused(site, mmdebstrap, "E: no space left on device", "bookworm", "bookworm")

    assert isinstance(error, ToolError)
    assert "no space left" in error.tail
