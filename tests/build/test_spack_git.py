"""Commits of git from anywhere: only what they name is taken, and a clone finds it at its URL."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

IMAGES = Path(__file__).parents[2] / "images"
URL = "https://git.invalid/group/lib.git"
PART = "https://git.invalid/group/part.git"
ME = {f"GIT_{who}_{what}": "me" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@dataclass(frozen=True)
class Kept:
    """What is kept of places, and what was said."""

    folder: Path
    config: Path
    said: str

    def clone(self, url: str, commit: str, target: Path) -> Path:
        """As Spack does it, with submodules."""
        environment = {"GIT_CONFIG_GLOBAL": str(self.config)}
        git("clone", "--quiet", url, str(target), **environment)
        git("-C", str(target), "checkout", "--quiet", commit, **environment)
        update = ("submodule", "update", "--quiet", "--init", "--recursive")
        git("-C", str(target), *update, **environment)
        return target


@dataclass(frozen=True)
class Traced:
    """A program that runs the command that it is given, and can be told to have run."""

    path: Path
    told: Path

    @property
    def ran(self) -> bool:
        return self.told.exists()


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    path, told = tmp_path / "traced", tmp_path / "told"
    executable(path, f'#!/bin/sh\ntouch "{told}"\nexec "$@"\n')
    return Traced(path, told)


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def git(*args: str, **environment: str) -> str:
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    env = {**os.environ, **ME, **nothing, **environment}
    done = subprocess.run(["git", *args], env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repository: Path, **files: str) -> str:
    """Commit files to a repository, which is made if it isn't there."""
    git("init", "--quiet", str(repository))
    for name, text in files.items():
        (repository / name).write_text(text)
        git("-C", str(repository), "add", name)
    git("-C", str(repository), "commit", "--quiet", "--message", "more")
    return git("-C", str(repository), "rev-parse", "HEAD")


def with_submodule(repository: Path, url: str, theirs: str) -> str:
    """Commit that `part` is the submodule of an URL."""
    told = f"160000,{theirs},part"
    git("-C", str(repository), "update-index", "--add", "--cacheinfo", told)
    return commit(repository, **{".gitmodules": f'[submodule "p"]\n\tpath = part\n\turl = {url}\n'})


def wants(commit: str, url: str = URL, **other: Any) -> dict[str, Any]:
    return {"url": url, "commit": commit, "submodules": False, "without": [], **other}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(IMAGES))
    return importlib.import_module("spack_git")


@pytest.fixture
def keep(
    program: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # the program names another one

    def run(*wanted: dict[str, Any], places: Path, name: str = "kept") -> Kept:
        file, config = tmp_path / f"{name}.json", tmp_path / f"{name}.config"
        file.write_text(json.dumps(wanted))
        options = ["--wanted", str(file), "--kept", str(tmp_path / name), "--config", str(config)]
        monkeypatch.setattr("sys.argv", ["spack_git.py", *options, str(places)])
        program.main()
        return Kept(tmp_path / name, config, capsys.readouterr().out)

    return run


def test_a_commit_is_taken_from_whatever_holds_it_and_nothing_else(
    keep: Any, tmp_path: Path
) -> None:
    """It need not be on a branch's end, and what came before isn't taken along."""
    place = tmp_path / "place" / "deep" / "whatever"
    before, wanted = commit(place, a="one"), commit(place, a="two")
    commit(place, a="three")

    kept = keep(wants(wanted), places=tmp_path / "place")

    assert kept.said == ""
    (found,) = kept.folder.rglob("*.git")
    assert found == kept.folder / "git.invalid/group/lib.git"
    clone = kept.clone(URL, wanted, tmp_path / "clone")
    assert (clone / "a").read_text() == "two"
    with pytest.raises(subprocess.CalledProcessError):
        git("-C", str(clone), "cat-file", "-e", before)


def test_what_was_kept_is_a_place_itself(keep: Any, tmp_path: Path) -> None:
    place = tmp_path / "place"
    old, new = commit(place, a="one"), commit(place, a="two")
    first = keep(wants(old), wants(new), places=place)

    second = keep(wants(old), wants(new), places=first.folder, name="again")

    assert second.said == ""
    assert (second.clone(URL, old, tmp_path / "old") / "a").read_text() == "one"
    assert (second.clone(URL, new, tmp_path / "new") / "a").read_text() == "two"


def test_a_folder_gets_the_commits_of_several_mirrors(keep: Any, tmp_path: Path) -> None:
    """Whatever else it has of the same repository, and if it has the same already."""
    place, folder = tmp_path / "place", tmp_path / "folder"
    old, new = commit(place, a="one"), commit(place, a="two")
    for number, wanted in enumerate((old, new, old)):
        kept = keep(wants(wanted), places=place, name=f"mirror{number}")
        assert all(path.stat().st_mode & 0o200 for path in kept.folder.rglob("*"))
        shutil.copytree(kept.folder, folder, dirs_exist_ok=True)
    shutil.rmtree(place)

    both = keep(wants(old), wants(new), places=folder)

    assert both.said == ""
    assert (both.clone(URL, old, tmp_path / "old") / "a").read_text() == "one"
    assert (both.clone(URL, new, tmp_path / "new") / "a").read_text() == "two"


@pytest.mark.parametrize("named", [PART, "../part.git", "./../part.git"])
def test_submodules_come_along_with_theirs(keep: Any, tmp_path: Path, named: str) -> None:
    places = tmp_path / "places"
    theirs = commit(places / "part", b="part")
    inner = commit(places / "inner", c="inner")
    theirs = with_submodule(places / "part", "../inner", inner)
    commit(places / "lib", a="lib")
    wanted = with_submodule(places / "lib", named, theirs)

    kept = keep(wants(wanted, submodules=True), places=places)

    assert kept.said == ""
    clone = kept.clone(URL, wanted, tmp_path / "clone")
    assert (clone / "part" / "b").read_text() == "part"
    assert (clone / "part" / "part" / "c").read_text() == "inner"


def test_submodules_lie_in_a_clone_that_has_them(keep: Any, tmp_path: Path) -> None:
    origin, part = tmp_path / "origin", tmp_path / "part"
    theirs = commit(part, b="part")
    commit(origin, a="lib")
    wanted = with_submodule(origin, part.as_uri(), theirs)
    place = tmp_path / "place" / "lib"
    file = ("-c", "protocol.file.allow=always")
    git(*file, "clone", "--quiet", "--recurse-submodules", str(origin), str(place))
    shutil.rmtree(part)

    kept = keep(wants(wanted, submodules=True), places=tmp_path / "place")

    assert kept.said == ""
    assert (kept.clone(URL, wanted, tmp_path / "clone") / "part" / "b").read_text() == "part"


@pytest.mark.parametrize(
    "other",
    [
        {"submodules": False},
        {"submodules": ["another"]},
        {"submodules": True, "without": ["part"]},
    ],
)
def test_a_submodule_that_spack_does_not_take_is_not_missed(
    keep: Any, tmp_path: Path, other: dict[str, Any]
) -> None:
    place = tmp_path / "lib"
    commit(place, a="lib")
    wanted = with_submodule(place, PART, "5" * 40)

    assert keep(wants(wanted, **other), places=place).said == ""


def test_what_is_not_to_be_had_is_named(keep: Any, tmp_path: Path) -> None:
    """A submodule as well, by its own URL and commit."""
    place = tmp_path / "lib"
    commit(place, a="lib")
    wanted = with_submodule(place, "../part.git", "5" * 40)

    said = keep(wants("4" * 40), wants(wanted, submodules=True), places=place).said

    assert said == f"  commit {'4' * 40}\n    {URL}\n  commit {'5' * 40}\n    {PART}\n"


def test_nothing_is_cloned_from_an_url_that_is_wanted_but_not_to_be_had(
    keep: Any, tmp_path: Path
) -> None:
    """Spack finds at once that it isn't there, and asks no server."""
    kept = keep(wants("4" * 40), places=tmp_path / "lib")

    with pytest.raises(subprocess.CalledProcessError) as error:
        kept.clone(URL, "4" * 40, tmp_path / "clone")

    assert "git.invalid" not in error.value.stderr


def test_a_repository_that_holds_other_bytes_than_it_says_is_refused(
    keep: Any, tmp_path: Path
) -> None:
    """The file of one object lies where another one's should: its hash says so."""
    place = tmp_path / "lib"
    wanted = commit(place, a="good")
    good, bad = (place / ".git/objects" / one for one in blobs(place, "good", "evil"))
    good.chmod(0o600)
    shutil.copyfile(bad, good)

    kept = keep(wants(wanted), places=place)

    assert kept.said == f"  commit {wanted}\n    {URL}\n"


def blobs(repository: Path, *texts: str) -> Iterator[str]:
    """Where git keeps files of these texts, which it gets."""
    for text in texts:
        (repository / "text").write_text(text)
        name = git("-C", str(repository), "hash-object", "-w", str(repository / "text"))
        yield f"{name[:2]}/{name[2:]}"


def test_a_repository_that_lacks_a_file_is_passed_over(keep: Any, tmp_path: Path) -> None:
    places = tmp_path / "places"
    wanted = commit(places / "lib", a="good")
    shutil.copytree(places / "lib", places / "whole")
    (missing,) = (places / "lib/.git/objects" / one for one in blobs(places / "lib", "good"))
    missing.unlink()

    kept = keep(wants(wanted), places=places)

    assert kept.said == ""
    assert (kept.clone(URL, wanted, tmp_path / "clone") / "a").read_text() == "good"


def test_no_program_is_run_that_a_repository_names(
    keep: Any, tmp_path: Path, traced: Traced
) -> None:
    place = tmp_path / "lib"
    wanted = commit(place, a="good")
    for name in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.sshCommand", "core.pager"):
        git("-C", str(place), "config", name, str(traced.path))
    hook = place / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(traced.path, hook)

    kept = keep(wants(wanted), places=place)
    kept.clone(URL, wanted, tmp_path / "clone")

    assert not traced.ran


def test_a_file_that_a_repository_lacks_is_not_fetched_as_it_says(
    keep: Any, tmp_path: Path, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a partial clone: an old git, and one that is told to, would have it fetch the rest."""
    monkeypatch.setenv("GIT_NO_LAZY_FETCH", "0")
    place = tmp_path / "lib"
    wanted = commit(place, a="good")
    (missing,) = (place / ".git/objects" / one for one in blobs(place, "good"))
    missing.unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": str(place),
        "remote.origin.uploadpack": str(traced.path),
    }.items():
        git("-C", str(place), "config", name, value)

    kept = keep(wants(wanted), places=place)

    assert kept.said == f"  commit {wanted}\n    {URL}\n"
    assert not traced.ran


def test_no_hook_is_run_in_a_clone(keep: Any, tmp_path: Path, traced: Traced) -> None:
    """A machine may have some for all repositories, and they could change what is checked out."""
    wanted = commit(tmp_path / "lib", a="good")
    kept = keep(wants(wanted), places=tmp_path / "lib")
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    shutil.copy(traced.path, tmp_path / "template" / "hooks" / "post-checkout")
    git("config", "--file", str(kept.config), "init.templateDir", str(tmp_path / "template"))

    clone = kept.clone(URL, wanted, tmp_path / "clone")

    assert (clone / ".git" / "hooks" / "post-checkout").exists()
    assert not traced.ran


def test_the_callers_git_has_no_say_in_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that it could be told, certificates are left."""
    recipe, heard = tmp_path / "recipe", tmp_path / "heard"
    (recipe / "spack").mkdir(parents=True)
    (recipe / "settings.sh").write_text("SPACK_TREE=a SPACK_PACKAGES_TREE=b\n")
    for name in ("common.sh", "spack_sources.py", "spack_git.py"):
        shutil.copy(IMAGES / name, recipe)
    executable(tmp_path / "spack/bin/spack", f"#!/bin/sh\nenv >'{heard}'\necho '[]'\n")
    for name in ("TEMPLATE_DIR", "DEFAULT_HASH", "EXEC_PATH", "ATTR_SOURCE", "DIR", "SSL_CAINFO"):
        monkeypatch.setenv(f"GIT_{name}", "/theirs")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "a line\nGIT_AND=another \udcff")
    told = {"RECIPE": recipe, "OUT": tmp_path / "out", "IN_SPACK": tmp_path, "IN_PACKAGES": "/"}

    step = ["sh", IMAGES / "steps" / "spack-sources.sh"]
    subprocess.run(step, env={**os.environ, **told}, check=True)

    lines = (line for line in heard.read_text().splitlines() if line.startswith("GIT_"))
    assert dict(line.split("=", 1) for line in lines) == {
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(tmp_path / "out" / "work" / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_SSL_CAINFO": "/theirs",
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
    }


@pytest.mark.parametrize("first", [0, 1])
def test_a_commit_is_checked_out_by_its_own_attributes(
    keep: Any, tmp_path: Path, first: int
) -> None:
    """Whatever else is kept of the repository, and has the same file."""
    place = tmp_path / "lib"
    crlf = commit(place, **{".gitattributes": "f text eol=crlf\n", "f": "line\n"})
    plain = commit(place, **{".gitattributes": "\n"})
    wanted = [wants(crlf), wants(plain)]

    kept = keep(wanted[first], wanted[1 - first], places=place)

    assert (kept.clone(URL, crlf, tmp_path / "crlf") / "f").read_bytes() == b"line\r\n"
    assert (kept.clone(URL, plain, tmp_path / "plain") / "f").read_bytes() == b"line\n"


@pytest.mark.parametrize("named", ["a\ttab", "a\nline", os.fsdecode(b"\xe9t\xe9")])
def test_a_file_may_have_any_name(keep: Any, tmp_path: Path, named: str) -> None:
    places = tmp_path / "places"
    theirs = commit(places / "part", b="part")
    commit(places / "lib", **{named: "lib"})
    wanted = with_submodule(places / "lib", PART, theirs)

    kept = keep(wants(wanted, submodules=True), places=places)

    clone = kept.clone(URL, wanted, tmp_path / "clone")
    assert (clone / named).read_text() == "lib"
    assert (clone / "part" / "b").read_text() == "part"


def test_submodules_that_git_can_not_read_are_refused(keep: Any, tmp_path: Path) -> None:
    """Unless nobody asks for them."""
    place = tmp_path / "lib"
    wanted = commit(place, **{".gitmodules": "[submodule\n"})

    with pytest.raises(SystemExit, match=rf"^error: .*/lib\.git .*{wanted}:\.gitmodules failed$"):
        keep(wants(wanted, submodules=True), places=place)

    assert keep(wants(wanted), places=place).said == ""


@pytest.mark.parametrize("named", ["abbreviated", "tag", "A" * 40, "4" * 64])
def test_a_commit_is_named_whole(keep: Any, tmp_path: Path, named: str) -> None:
    """What a place calls so isn't known by a hash."""
    place = tmp_path / "lib"
    commit(place, a="good")
    git("-C", str(place), "tag", named)

    with pytest.raises(SystemExit, match=f"^error: {URL}: '{named}' isn't a whole commit"):
        keep(wants(named), places=place)


@pytest.mark.parametrize(
    ("said", "shown"), [("git version 2.31.8", "git version 2.31.8"), (None, "no git")]
)
def test_a_git_that_heeds_the_callers_configuration_is_refused(
    keep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, shown: str
) -> None:
    if said:
        executable(tmp_path / "bin" / "git", f"#!/bin/sh\necho '{said}'\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(SystemExit, match=rf"^error: .* 2\.32 or later; here is {shown}$"):
        keep(wants("4" * 40), places=tmp_path)


def test_a_folder_that_is_called_as_a_pack_can_be_entered(keep: Any, tmp_path: Path) -> None:
    wanted = commit(tmp_path / "lib", a="good")

    kept = keep(wants(wanted, "https://git.invalid/pack-of/lib"), places=tmp_path / "lib")

    assert (kept.folder / "git.invalid" / "pack-of").stat().st_mode & 0o111 == 0o111


def test_a_server_that_gives_no_single_commits_is_cloned(keep: Any, tmp_path: Path) -> None:
    """The first version of git's protocol gives the ends of branches and tags, and no more."""
    origin = tmp_path / "origin"
    wanted = commit(origin, a="one")
    commit(origin, a="two")
    (tmp_path / "kept.config").write_text("[protocol]\n\tversion = 0\n")

    url = origin.as_uri()
    kept = keep(wants(wanted, url), places=tmp_path / "nowhere")

    assert kept.said == ""
    assert (kept.clone(url, wanted, tmp_path / "clone") / "a").read_text() == "one"


def test_nothing_is_done_where_no_source_is_by_git(
    keep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git need not be there."""
    monkeypatch.setenv("PATH", str(tmp_path))

    kept = keep(places=tmp_path)

    assert kept.said == ""
    assert not kept.config.exists()


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://github.com/spack/spack.git", "github.com/spack/spack.git"),
        ("https://github.com/spack/spack", "github.com/spack/spack.git"),
        ("ssh://me@host:2222/spack.git/", "host/2222/spack.git"),
        ("git@host:group/spack.git", "host/group/spack.git"),
        ("file:///srv/../../spack", "srv/spack.git"),
        ("../../etc", "etc.git"),
        ("https://host/spack.git/HEAD/inner", "host/spack.git_/HEAD/inner.git"),
        ("host.git", "host.git"),
        ("host.git:inner", "host.git_/inner.git"),
    ],
)
def test_an_url_has_one_folder_below_those_that_are_kept(
    program: ModuleType, url: str, folder: str
) -> None:
    assert program.folder_of(url).as_posix() == folder


@pytest.mark.parametrize("url", ["", "://", "..", "https://host/a\nb", "host:\udce9"])
def test_an_url_that_names_no_repository_is_refused(program: ModuleType, url: str) -> None:
    with pytest.raises(SystemExit, match=r"^error: '.*' isn't the URL of a repository$"):
        program.folder_of(url)


def test_a_submodule_without_an_url_is_refused(keep: Any, tmp_path: Path) -> None:
    commit(tmp_path / "lib", a="lib")
    wanted = with_submodule(tmp_path / "lib", "", "5" * 40)

    with pytest.raises(SystemExit, match=r"^error: '' isn't the URL of a repository$"):
        keep(wants(wanted, submodules=True), places=tmp_path / "lib")
