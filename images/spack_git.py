"""Keep the commits that Spack clones, as repositories from which it does so without a network.

    spack_git.py --wanted FILE --kept DIR --config FILE PLACES

A repository is known by the commits that it holds, as a file is by its hash: git names all that it
is sent by the hashes of its bytes, so that neither a place nor a server has to be trusted. The
configuration that is written has git clone from DIR what is at an URL. What is not to be had is
printed. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

OLDEST = (2, 32)
"""The git that heeds GIT_CONFIG_GLOBAL."""

SETTINGS = {
    "transfer.fsckObjects": "true",
    "transfer.unpackLimit": "1",  # a pack for each commit, not a file for each object
    "core.attributesFile": os.devnull,
    "core.hooksPath": os.devnull,
    "protocol.file.allow": "always",  # submodules, too, come from DIR
    "maintenance.auto": "false",
    "gc.auto": "0",
}
PLACE = (
    "--upload-pack=GIT_ALLOW_PROTOCOL=none"
    " git -c 'safe.directory=*' -c uploadpack.allowAnySHA1InWant=true upload-pack",
)
"""A place may be another account's: this program of git's is made to read such repositories.

What one lacks of files it doesn't fetch, as older gits would do by the program that it names.
"""


@dataclass(frozen=True)
class Want:
    """A commit of the repository at an URL.

    Args:
        submodules: true for all, with theirs, false for none; or the paths of those to take.
        without: the paths of those that are removed before.
    """

    url: str
    commit: str
    submodules: bool | tuple[str, ...]
    without: tuple[str, ...]


def want(told: Mapping[str, Any]) -> Want:
    """What `spack_commits.py` says of a source.

    Raises:
        SystemExit: a tag, branch or shortened commit; it may be anything in another repository.
    """
    url, commit, taken = told["url"], told["commit"], told["submodules"]
    if not re.fullmatch("[0-9a-f]{40}", commit):
        sys.exit(f"error: {url}: {commit!r} isn't a whole commit, of 40 hexadecimal digits")
    submodules = taken if isinstance(taken, bool) else tuple(taken)
    return Want(url, commit, submodules, tuple(told["without"]))


def repositories(place: Path) -> Iterator[Path]:
    """The repositories of a folder: bare ones, those of work trees, and of their submodules."""
    for folder, names, files in os.walk(place):
        names.sort()
        if "HEAD" in files and {"objects", "refs"} <= {*names}:
            yield Path(folder).absolute()
            names[:] = [name for name in names if name == "modules"]


def folder_of(url: str) -> Path:
    """Where the repository of an URL is kept, as `github.com/spack/spack.git`; none is in another.

    Raises:
        SystemExit: the URL names nothing, or has characters that no line shows.
    """
    host, *path = re.split("[:/]+", url.partition("://")[2] or url)
    parts = [part for part in (host.rpartition("@")[2], *path) if part not in ("", ".", "..")]
    if not parts or not url.isprintable():
        sys.exit(f"error: {url!r} isn't the URL of a repository")
    above = (f"{part}_" if part.endswith(".git") else part for part in parts[:-1])
    return Path(*above, parts[-1].removesuffix(".git") + ".git")


def git(*args: str | Path) -> str:
    """Run git and return what it prints; the names of files need not be UTF-8.

    Raises:
        SystemExit: it failed, and has said why.
    """
    argv = ["git", *map(str, args)]
    done = subprocess.run(
        argv, check=False, stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape"
    )
    if done.returncode != 0:
        sys.exit(f"error: {shlex.join(argv)} failed")
    return done.stdout


def can(*args: str | Path) -> bool:
    """Whether git can do it; why not is said, unless a repository just doesn't have the commit."""
    argv = ["git", *map(str, args)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0 and "not our ref" not in done.stderr:
        print(done.stderr.strip(), file=sys.stderr, flush=True)
    return done.returncode == 0


def remotes(url: str, found: Iterable[Path]) -> Iterator[tuple[str, ...]]:
    """What to fetch from: the repositories that are there, those with its name first; its URL."""
    name = folder_of(url).stem
    for path in sorted(found, key=lambda path: name not in (path.stem, path.parent.name)):
        yield (*PLACE, "--", path.as_uri())
    print(f"fetch {url}", file=sys.stderr, flush=True)
    yield "--", url
    with TemporaryDirectory() as folder:  # of a server that gives branches and tags only
        if can("clone", "--quiet", "--bare", "--", url, folder):
            yield (*PLACE, "--", Path(folder).as_uri())


def keep(wanted: Want, repository: Path, found: Iterable[Path]) -> bool:
    """Put a commit and its files into a repository of ours, if that is to be had whole.

    Others' repositories are fetched from and nothing else, as their configuration may name programs
    that git would run. HEAD names nothing: a clone would check it out first, and then leave files
    of it that another commit has as well, though by its attributes they may have other line ends.
    """
    if not repository.exists():
        git("init", "--quiet", "--bare", "--template=", repository)
    ours, ref = f"--git-dir={repository}", f"refs/tags/at-{wanted.commit}"
    if not git(ours, "for-each-ref", ref):
        fetch = (ours, "fetch", "--depth=1", "--no-tags", "--no-write-fetch-head")
        refspec = f"{wanted.commit}:{ref}"
        if not any(can(*fetch, *remote, refspec) for remote in remotes(wanted.url, found)):
            return False
    return True


def submodules(wanted: Want, repository: Path) -> Iterator[Want]:
    """What Spack's clone of a commit would clone for its submodules."""
    if not wanted.submodules:
        return
    ours, commit = f"--git-dir={repository}", wanted.commit
    lines = filter(None, git(ours, "ls-tree", "-rz", commit).split("\0"))
    entries = {path: about.split() for about, path in (line.split("\t", 1) for line in lines)}
    if ".gitmodules" not in entries:
        return
    told: dict[str, dict[str, str]] = {}
    for line in git(ours, "config", "-z", "--list", "--blob", f"{commit}:.gitmodules").split("\0"):
        key, _, value = line.partition("\n")
        name, _, what = key.removeprefix("submodule.").rpartition(".")
        told.setdefault(name, {})[what] = value
    for each in told.values():
        path = each.get("path", "")
        mode, _, theirs = entries.get(path, ("", "", ""))
        if mode != "160000" or path in wanted.without or each.get("update") == "none":
            continue
        if "url" in each and (wanted.submodules is True or path in wanted.submodules):
            yield Want(absolute(each["url"], wanted.url), theirs, wanted.submodules is True, ())


def absolute(url: str, base: str) -> str:
    """The URL of a submodule, which may be named from that of what it is part of."""
    if not url.startswith(("./", "../")):
        return url
    base = base.rstrip("/")
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        base = base if step == "." else base.rpartition("/")[0]
    return f"{base}/{url}"


def keep_all(wanted: Iterable[Want], kept: Path, found: list[Path]) -> tuple[set[str], list[Want]]:
    """Keep what is wanted, and its submodules.

    Returns:
        The URLs of all, and what is not to be had.
    """
    todo, seen, missing = [*wanted], set[Want](), list[Want]()
    while todo:
        each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        repository = kept / folder_of(each.url)
        if keep(each, repository, found):
            todo += submodules(each, repository)
        else:
            missing.append(each)
    return {each.url for each in seen}, missing


def main() -> None:
    """Parse the command line, keep what is wanted, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wanted", type=Path, required=True, metavar="FILE")
    parser.add_argument("--kept", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("places", help="folders and lists of URLs, with colons between")
    args = parser.parse_args()
    wanted = [want(told) for told in json.loads(args.wanted.read_text(encoding="utf-8"))]
    if not wanted:
        return
    version = git("--version").strip() if shutil.which("git") else "no git"
    if tuple(map(int, re.findall("[0-9]+", version)[:2])) < OLDEST:
        sys.exit(f"error: sources by git take git 2.32 or later; here is {version}")
    os.environ["GIT_CONFIG_GLOBAL"] = str(args.config)
    for name, value in SETTINGS.items():
        git("config", "--file", args.config, name, value)
    places = filter(None, args.places.split(":"))
    found = [path for place in places for path in repositories(Path(place))]
    urls, missing = keep_all(wanted, args.kept, found)
    for path in args.kept.rglob("pack-*"):
        if path.is_file():
            path.chmod(0o644)  # whoever copies it to a folder that has it writes over it
    for url in sorted(urls):
        mine = (args.kept / folder_of(url)).absolute().as_uri()
        git("config", "--file", args.config, "--add", f"url.{mine}.insteadOf", url)
    for each in sorted(missing, key=lambda each: (each.url, each.commit)):
        print(f"  commit {each.commit}\n    {each.url}")


if __name__ == "__main__":
    main()
