"""A registry as build cache: what is asked of it when, and what is said if it can't be reached."""

from __future__ import annotations

import base64
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from test_from_source import rendered
from test_from_source import site as site  # noqa: PLC0414  (the site with a builder)

from stackwright.building.build import BUILD_CACHE, BUILD_REGISTRY, build_caches
from stackwright.building.providers.scripts import run_script
from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.tools.process import Runner, ToolError

IMAGES = Path(__file__).parents[2] / "images"
REGISTRY = "oci://registry.example.org/group/spack-cache"


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(IMAGES))
    return importlib.import_module("registry_access")


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(IMAGES))
    return importlib.import_module("registry_holds")


# What the variable names


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("", ("", "")),
        ("/shared/cache", ("/shared/cache", "")),
        ("cache", ("cache", "")),
        (REGISTRY, ("", REGISTRY)),
        ("oci+http://127.0.0.1:5000/cache", ("", "oci+http://127.0.0.1:5000/cache")),
    ],
)
def test_a_folder_or_a_registry(named: str, found: tuple[str, str]) -> None:
    assert build_caches(named) == found


@pytest.mark.parametrize(
    "named",
    [
        "s3://bucket/cache",
        "https://registry.example.org/cache",
        "oci://registry.example.org",
        "oci://registry.example.org/Cache:latest",
        "oci://ada@registry.example.org/cache",
        'oci://registry.example.org",autopush:"/cache',
    ],
)
def test_what_is_neither_is_refused_before_anything_is_built(named: str) -> None:
    with pytest.raises(StackwrightError, match="neither a folder nor a place in a registry") as no:
        build_caches(named)
    assert "oci://REGISTRY/NAME" in str(no.value.hint)


def test_no_password_of_a_url_is_told() -> None:
    with pytest.raises(StackwrightError, match=r"https://\*\*\*@r\.example\.org"):
        build_caches("https://ada:hunter2@r.example.org/cache")


# The login


def logged_in(file: Path, **passwords: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    coded = {name: base64.b64encode(pair.encode()).decode() for name, pair in passwords.items()}
    file.write_text(json.dumps({"auths": {name: {"auth": auth} for name, auth in coded.items()}}))
    return file


def test_the_login_is_that_of_the_longest_name(access: ModuleType, tmp_path: Path) -> None:
    file = logged_in(
        tmp_path / "auth.json",
        **{
            "registry.example.org": "all:1",
            "registry.example.org/group": "ada:a:b",
            "registry.example.org/other": "bob:2",
        },
    )

    assert access.login(f"{REGISTRY}/6d18a1b9", [tmp_path / "none", file]) == "ada:a:b"
    assert access.login("oci://registry.example.org/x", [file]) == "all:1"
    assert access.login("oci://elsewhere.example.org/group", [file]) == ""


def test_logins_are_looked_for_where_podman_does(access: ModuleType) -> None:
    home = Path("/home/ada")

    assert access.files({"REGISTRY_AUTH_FILE": "/x.json"}, home) == [Path("/x.json")]
    assert access.files({"XDG_RUNTIME_DIR": "/run/user/7"}, home) == [
        Path("/run/user/7/containers/auth.json"),
        Path("/home/ada/.config/containers/auth.json"),
        Path("/home/ada/.docker/config.json"),
    ]


def test_login_and_certificates_are_for_nobody_else_to_read(
    access: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    masks: list[int] = []
    auth = logged_in(tmp_path / "auth.json", **{"registry.example.org": "ada:hunter2"})
    (tmp_path / "own.pem").write_text("own")
    (tmp_path / "access").mkdir()
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(auth))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    monkeypatch.setattr("os.umask", masks.append)

    access.main(REGISTRY, tmp_path / "access")

    assert (tmp_path / "access/login").read_text() == "ada\nhunter2\n"
    assert (tmp_path / "access/ca.pem").read_text() == "own"
    assert masks == [0o077]

    (tmp_path / "open").mkdir()
    access.main(REGISTRY.replace("oci:", "oci+http:"), tmp_path / "open")
    assert not (tmp_path / "open/login").exists()


# What it holds


def spec(*needed: tuple[str, str], external: bool = False) -> dict[str, object]:
    dependencies = [{"hash": key, "parameters": {"deptypes": [kind]}} for key, kind in needed]
    return {"dependencies": dependencies, **({"external": {}} if external else {})}


def test_what_is_held_is_taken_with_all_that_it_links_and_runs(holds: ModuleType) -> None:
    """Not what it was built with; and not what something else has to be compiled for first."""
    specs = {
        "fftw": spec(("gmake", "build"), ("numactl", "link"), ("glibc", "link")),
        "broken": spec(("absent", "run")),
        "numactl": spec(("autoconf", "build")),
        "glibc": spec(external=True),
        "gmake": spec(),
        "autoconf": spec(),
        "absent": spec(),
    }

    assert holds.whole(specs, {"fftw", "broken", "numactl", "autoconf"}) == [
        "fftw",
        "numactl",
        "autoconf",
    ]


# The step

ENGINE = """#!/bin/sh
[ "$1" = run ] || exit 0
for word; do
    case $word in
    none | host) network=$word ;;
    all | pull | push) what=$word ;;
    esac
    last=$word
done
login=
[ ! -e "$OUT/access" ] || login=" $(head -n 1 "$OUT/access/login")"
echo "$what $network$login" >>"$FAKE_LOG"
[ "$what" = all ] || echo "$last" >>"$FAKE_LOG.urls"
[ "$what" != "${FAKE_FAILS:-}" ] || exit 1
"""


class Step:
    """The step that compiles, with an engine that only notes down what it was asked."""

    def __init__(self, site: Site, folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin/podman").write_text(ENGINE)
        (folder / "bin/podman").chmod(0o755)
        self.folder, self.recipe = folder, rendered(site)
        self.out, self.log = folder / "out", folder / "log"

    def run(self, registry: str, fails: str = "") -> list[str]:
        self.out.mkdir()
        (step,) = (step for step in self.recipe.steps if step.name == "spack-build")
        env = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "ENGINE": "podman",
            "REGISTRY_AUTH_FILE": str(
                logged_in(self.folder / "auth.json", **{"registry.example.org": "ada:hunter2"})
            ),
            BUILD_CACHE: str(self.folder / "cache"),
            BUILD_REGISTRY: registry,
            "STACKWRIGHT_PACKAGE_LOGS": str(self.folder / "logs"),
            "STACKWRIGHT_SPACK_INDEX": str(self.folder / "index"),
            "FAKE_LOG": str(self.log),
            "FAKE_FAILS": fails,
        }
        inputs = dict.fromkeys(step.inputs, self.folder)
        run_script(self.recipe, step, self.out, inputs=inputs, env=env, runner=Runner())
        return self.log.read_text().splitlines()


@pytest.fixture
def step(site: Site, tmp_path: Path) -> Step:
    return Step(site, tmp_path)


def test_without_a_registry_nothing_has_a_network(step: Step) -> None:
    assert step.run("") == ["all none"]


def test_what_compiles_has_neither_network_nor_login(step: Step) -> None:
    assert step.run(REGISTRY) == ["pull host ada", "all none", "push host ada"]

    assert not (step.out / "access").exists()


def test_each_toolchain_has_a_cache_of_its_own(step: Step) -> None:
    step.run(REGISTRY)

    told = (step.folder / "log.urls").read_text().splitlines()
    (folder,) = (step.folder / "cache").iterdir()
    assert told == [f"{REGISTRY}/{folder.name}"] * 2


def test_nothing_is_compiled_where_a_registry_cannot_be_read(step: Step) -> None:
    with pytest.raises(ToolError) as caught:
        step.run(REGISTRY, fails="pull")

    assert step.log.read_text().splitlines() == ["pull host ada"]
    assert f"error: could not take what is compiled from {REGISTRY}/" in caught.value.tail
    assert "unset STACKWRIGHT_BUILD_CACHE" in caught.value.tail


def test_what_is_compiled_is_pushed_also_where_a_later_package_fails(step: Step) -> None:
    with pytest.raises(ToolError):
        step.run(REGISTRY, fails="all")

    assert step.log.read_text().splitlines()[-1] == "push host ada"


def test_a_push_that_fails_says_what_to_type(step: Step) -> None:
    with pytest.raises(ToolError) as caught:
        step.run(REGISTRY, fails="push")

    assert f"error: could not push to {REGISTRY}/" in caught.value.tail
    assert f"what is compiled is kept in {step.folder}/cache/" in caught.value.tail
    assert "the same command takes it from there and pushes again" in caught.value.tail
    assert "hunter2" not in caught.value.tail
