"""Which system is meant where none is named: the one whose hosts match, else the generic one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from stackwright.cli import main
from stackwright.errors import ManyErrors, StackwrightError
from stackwright.inputs.hosts import Hosts, systems_of
from stackwright.inputs.labels import parse, select
from stackwright.inputs.site import Site, shipped_content

NERSC = {"NERSC_HOST": "perlmutter"}
HOSTS: Mapping[str, Hosts | None] = {
    "laptop": None,
    "frontera": Hosts(names=("*.frontera.example.org", "c[0-9]*-[0-9]*")),
    "gpu-nodes": Hosts(environment=NERSC),
    "cpu-nodes": Hosts(names=("nid00[4-9]*",), environment=NERSC),
}


@pytest.mark.parametrize(
    ("host", "environ", "expected"),
    [
        ("mybox", {}, ("laptop",)),
        ("login2.frontera.example.org", {}, ("frontera",)),
        ("c101-003.other.example.org", {}, ("frontera",)),
        ("login07", NERSC, ("gpu-nodes",)),
        ("nid004001", NERSC, ("cpu-nodes", "gpu-nodes")),
        ("nid004001", {}, ("laptop",)),
        ("login07", {"NERSC_HOST": "cori"}, ("laptop",)),
    ],
)
def test_a_machine_belongs_to_the_systems_whose_hosts_it_matches_else_to_generic_ones(
    host: str, environ: Mapping[str, str], expected: tuple[str, ...]
) -> None:
    assert systems_of(HOSTS, host, environ) == expected


def test_a_variable_that_is_not_set_has_no_value_that_any_pattern_matches() -> None:
    assert not Hosts(environment={"NERSC_HOST": "*"}).match("x", {})


def test_hosts_that_say_nothing_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="every machine would be one of it"):
        Hosts()


KNOWN = frozenset(
    map(parse, ["t/1-cpu@laptop", "t/1-cpu@gpu-nodes", "t/1-cpu@cpu-nodes", "t/1-cuda@gpu-nodes"])
)


@pytest.mark.parametrize(
    ("pattern", "here", "expected"),
    [
        ("t/1-cpu", ("laptop",), "t/1-cpu@laptop"),
        ("t/1-cuda", ("cpu-nodes", "gpu-nodes"), "t/1-cuda@gpu-nodes"),
        ("t/1-cuda", ("laptop",), "t/1-cuda@gpu-nodes"),
        ("t@cpu-nodes", ("laptop",), "t/1-cpu@cpu-nodes"),
    ],
)
def test_a_label_without_a_system_means_the_one_here(
    pattern: str, here: tuple[str, ...], expected: str
) -> None:
    assert select(pattern, KNOWN, here) == (parse(expected),)


def test_two_systems_here_are_still_not_guessed_and_others_not_offered() -> None:
    with pytest.raises(StackwrightError) as caught:
        select("t/1-cpu", KNOWN, ("cpu-nodes", "gpu-nodes"))
    assert caught.value.what == "'t/1-cpu' doesn't say which system: cpu-nodes, gpu-nodes"


def test_what_a_system_here_refuses_is_not_told_where_the_question_is_which_system() -> None:
    refused = {parse("t/1-cuda@cpu-nodes"): "needs GPUs of nvidia"}

    with pytest.raises(StackwrightError) as caught:
        select("t", KNOWN, ("cpu-nodes", "gpu-nodes"), refused)
    assert caught.value.what == "'t' doesn't say which system: cpu-nodes, gpu-nodes"


def test_what_the_system_here_refuses_is_told_where_only_others_can_take_it() -> None:
    refused = {parse("t/1-cpu@frontera"): "needs another CPU"}

    with pytest.raises(StackwrightError) as caught:
        select("t/1-cpu", KNOWN, ("frontera",), refused)
    assert caught.value.what == "frontera can't take t/1-cpu: it needs another CPU"


# The command line


@pytest.fixture
def centre(site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a laptop, and a big machine that is known by its hosts."""
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder.parent / "store"))
    monkeypatch.delenv("STACKWRIGHT_SYSTEM", raising=False)
    with (site_folder / "systems/summit-like.yaml").open("a") as file:
        file.write("hosts: {names: ['login[0-9]'], environment: {SITE: big}}\n")
    return site_folder


def planned(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    assert main(["plan", *args, "--json"]) == 0
    return [row["label"].rpartition("@")[2] for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("host", "site", "system"),
    [("mybox", "", "laptop"), ("login1", "big", "summit-like"), ("login1", "other", "laptop")],
)
def test_a_bare_label_works_on_a_laptop_and_on_a_node(
    centre: Path,
    host: str,
    site: str,
    system: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("platform.node", lambda: host)
    monkeypatch.setenv("SITE", site)

    assert planned(capsys, "demo/2.10-cpu") == [system]
    assert main(["keys", "list"]) == 0


def test_the_variable_and_the_label_win_over_the_hosts(
    centre: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.node", lambda: "login1")
    monkeypatch.setenv("SITE", "big")
    monkeypatch.setenv("STACKWRIGHT_SYSTEM", "laptop")

    assert planned(capsys, "demo/2.10-cpu") == ["laptop"]
    assert planned(capsys, "demo/2.10-cpu@summit-like") == ["summit-like"]


def test_a_system_file_with_a_mistake_may_be_this_machines(centre: Path) -> None:
    (centre / "systems/laptop.yaml").write_text("name: laptop\nhosts: {}\n")

    with pytest.raises(ManyErrors, match="every machine would be one of it"):
        Site(centre).systems_of("mybox", {})


@pytest.mark.parametrize(
    ("host", "environ", "systems"),
    [
        ("mybox", {}, ("local",)),
        ("login07", NERSC, ("perlmutter-cpu", "perlmutter-gpu")),
        ("nid00001", {"NERSC_HOST": "cori"}, ("cori-gpu", "cori-haswell", "cori-knl")),
        ("batch2", {"LMOD_SYSTEM_NAME": "summit"}, ("summit",)),
        ("c101-001.frontera.tacc.utexas.edu", {}, ("frontera",)),
    ],
)
def test_the_shipped_site_is_local_on_any_machine_that_no_other_claims(
    host: str, environ: Mapping[str, str], systems: tuple[str, ...]
) -> None:
    assert Site(shipped_content()).systems_of(host, environ) == systems


def test_each_shipped_system_says_where_its_facts_are_from_and_whether_it_is_retired() -> None:
    site = Site(shipped_content())
    for name in set(site.system_names) - {"local"}:
        assert "https://" in (site.root / f"systems/{name}.yaml").read_text(), name
        retired = name.startswith("cori-") or name == "summit"
        assert ("retired" in site.system(name).summary) is retired, name
