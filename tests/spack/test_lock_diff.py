"""`stackwright lock --diff REV`: the locks of the site beside those of an earlier commit."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from spack_samples import LABEL, WHEELS, recorded, write_both

from stackwright.cli import main
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.locks import load_lock
from stackwright.spack.dialect import DIALECTS

WHEELS_FILE = "stacks/locks/mini-1.0-cpu@bench.lock.json"
SPACK_FILE = "stacks/locks/mini-1.0-spack@bench.spack.json"


def git(site: Site, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(site.root), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def committed(site: Site) -> Site:
    """The small site with its locks, in a checkout of git."""
    write_both(site, DIALECTS[1])
    git(site, "init", "--quiet")
    git(site, "add", ".")
    git(site, "commit", "--quiet", "--message", "Locks")
    return site


def diff(site: Site, pattern: str, *options: str, revision: str = "HEAD") -> int:
    return main(["--site", str(site.root), "lock", pattern, "--diff", revision, *options])


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {entry["file"]: entry for entry in json.loads(capsys.readouterr().out)}


def test_what_changed_is_told_by_package(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = committed.lock_file(parse(WHEELS))
    path.write_text(path.read_text().replace('"12.2.0-14+deb12u1"', '"12.2.0-14+deb12u2"'))
    old = recorded(DIALECTS[1])
    lock = json.loads(json.dumps(old.lock))
    for package in lock["concrete_specs"].values():
        package["arch"]["target"] = "zen3"
    new = old.model_copy(update={"lock": lock})
    committed.spack_lock_file(parse(LABEL)).write_bytes(new.to_json())

    assert diff(committed, "mini@bench") == 0

    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        f"{WHEELS_FILE}: 1 package changed since HEAD",
        "  libstdc++6 12.2.0-14+deb12u1 -> 12.2.0-14+deb12u2",
    ]
    assert "stacks/locks/mini-1.0-spack@bench.lock.json: as at HEAD" in said
    assert f"{SPACK_FILE}: {len(lock['concrete_specs'])} packages changed since HEAD" in said
    assert "  py-mpi4py target x86_64 -> zen3" in said


def test_programs_get_every_fact_of_it(committed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    lock = load_lock(committed.lock_file(parse(WHEELS)))
    base = lock.base.model_copy(update={"packages": {**lock.base.packages, "less": "590-2"}})
    new = lock.model_copy(update={"base": base})
    committed.lock_file(parse(WHEELS)).write_bytes(new.to_json())

    assert diff(committed, WHEELS, "--json") == 0

    assert found(capsys)[WHEELS_FILE] == {
        "label": WHEELS,
        "file": WHEELS_FILE,
        "state": "changed",
        "why": None,
        "changes": [
            {"part": "base", "package": "less", "what": "version", "old": None, "new": "590-2"}
        ],
    }


def test_a_lock_that_is_new_or_gone_is_told(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    committed.spack_lock_file(parse(LABEL)).unlink()
    git(committed, "commit", "--all", "--quiet", "--message", "Without")

    diff(committed, LABEL, "--json", revision="HEAD~1")
    assert found(capsys)[SPACK_FILE]["state"] == "gone"

    write_both(committed, DIALECTS[1])
    diff(committed, LABEL, "--json")
    assert found(capsys)[SPACK_FILE]["state"] == "new"


def test_the_lock_of_a_label_that_is_no_more_is_told(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = committed.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace("      spack: {}\n", ""))
    committed.spack_lock_file(parse(LABEL)).unlink()

    assert diff(committed, "mini/*@bench", "--json") == 0

    assert found(capsys)[SPACK_FILE]["state"] == "gone"


def test_a_lock_of_another_format_is_told_and_the_others_are_compared(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = committed.lock_file(parse(WHEELS))
    path.write_text(path.read_text().replace("stackwright/lock/2", "stackwright/lock/99"))

    assert diff(committed, "mini@bench", "--json") == 0

    told = found(capsys)
    assert told[WHEELS_FILE]["state"] == "unreadable"
    assert "stackwright/lock/2" in told[WHEELS_FILE]["why"]
    assert told[SPACK_FILE]["state"] == "same"


def test_a_site_below_the_top_of_its_checkout_has_its_own_locks(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    write_both(site, DIALECTS[1])
    above = Site(site.root.parent)
    git(above, "init", "--quiet")
    git(above, "add", ".")
    git(above, "commit", "--quiet", "--message", "Locks")

    assert diff(site, LABEL, "--json") == 0

    assert found(capsys)[SPACK_FILE]["state"] == "same"


@pytest.mark.parametrize(
    ("revision", "said"),
    [("nowhere", "'nowhere' is no commit of"), ("--all", "'--all' is no commit of")],
)
def test_a_revision_that_is_none_is_an_error(
    committed: Site, revision: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(committed, LABEL, revision=revision) == 2

    assert said in capsys.readouterr().err


def test_a_site_without_git_has_no_revisions(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(site, LABEL) == 2

    assert f"{site.root} is no checkout of git" in capsys.readouterr().err


def test_a_label_that_never_had_a_lock_names_the_command(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(committed, "mini/1.0-source@bench") == 2

    assert "stackwright lock 'mini/1.0-source@bench'" in capsys.readouterr().err


def test_it_is_not_asked_together_with_a_check(
    committed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(committed, LABEL, "--check") == 2

    assert "--check and --diff exclude each other" in capsys.readouterr().err
