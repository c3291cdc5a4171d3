"""Write the files of a tree of git, each compared with its hash, down from the tree's own.

`git archive` asks the repository's configuration and attributes, which replace objects, leave files
out, or run programs on them; so objects are read as they are, and hashed here.

usage: git_tree.py REPOSITORY TREE FOLDER [--commit COMMIT] [--only NAME...] [--without PATH...]
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ALGORITHMS = {40: "sha1", 64: "sha256"}
FOLDER, FILE, PROGRAM, LINK = "40000", "100644", "100755", "120000"
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}


class Objects:
    """The objects of a repository, each with the hash that it is asked for by."""

    def __init__(self, repository: str) -> None:
        """Start git there."""
        self._argv = ["git", "-c", "safe.directory=*", "-C", repository]
        self._git = subprocess.Popen(
            [*self._argv, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        )

    def read(self, kind: str, name: str) -> bytes:
        """Give what an object holds; ends the program where it isn't what its name says."""
        asked, told = self._git.stdin, self._git.stdout
        if asked is None or told is None:
            raise RuntimeError("git has no pipes")
        asked.write(f"{name}\n".encode())
        asked.flush()
        said = told.readline().decode().split()
        if len(said) != 3 or said[1] != kind:  # noqa: PLR2004  (name, kind, size)
            sys.exit(f"error: the repository has no {kind} {name}")
        content = told.read(int(said[2]))
        told.read(1)
        head = f"{kind} {len(content)}\0".encode()
        if hashlib.new(ALGORITHMS[len(name)], head + content).hexdigest() != name:
            sys.exit(f"error: what the repository has as {kind} {name} is something else")
        return content

    def tree_of(self, commit: str) -> str | None:
        """The tree of a commit; None where the repository has the tree from another one only."""
        asked = [*self._argv, "cat-file", "-e", commit]
        said = subprocess.run(asked, check=False, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        return None if said.returncode else self.read("commit", commit).split()[1].decode()

    def entries(self, tree: str) -> Iterator[tuple[str, str, str]]:
        """Mode, name and hash of each entry of a tree."""
        content, size = self.read("tree", tree), len(tree) // 2
        while content:
            head, _, rest = content.partition(b"\0")
            mode, _, name = head.decode().partition(" ")
            if not name or "/" in name or name in (".", "..", ".git"):
                sys.exit(f"error: the tree {tree} has an entry {name!r}")
            yield mode, name, rest[:size].hex()
            content = rest[size:]


def write(objects: Objects, tree: str, folder: Path, left_out: set[PurePosixPath]) -> None:
    """Write a tree into a folder that is there and empty."""
    for mode, name, key in objects.entries(tree):
        if PurePosixPath(name) in left_out:
            continue
        path = folder / name
        if mode == FOLDER:
            path.mkdir()
            below = {each.relative_to(name) for each in left_out if each.is_relative_to(name)}
            write(objects, key, path, below)
        elif mode == LINK:
            path.symlink_to(objects.read("blob", key).decode())
        elif mode in (FILE, PROGRAM):
            path.write_bytes(objects.read("blob", key))
            path.chmod(0o755 if mode == PROGRAM else 0o644)
        else:
            sys.exit(f"error: {name} is of the mode {mode}, which can't be checked")
        os.utime(path, (0, 0), follow_symlinks=False)  # Spack's index of it is always younger


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository")
    parser.add_argument("tree")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", help="that it must be of, if the repository has that one")
    parser.add_argument("--only", nargs="*", default=[], help="entries of the tree")
    parser.add_argument("--without", nargs="*", default=[], type=PurePosixPath)
    chosen = parser.parse_args()
    objects = Objects(chosen.repository)
    if chosen.commit and objects.tree_of(chosen.commit) not in (None, chosen.tree):
        sys.exit(f"error: the commit {chosen.commit} has another tree than {chosen.tree}")
    left_out = {*chosen.without}
    if chosen.only:
        names = {name for _, name, _ in objects.entries(chosen.tree)}
        left_out |= {PurePosixPath(name) for name in names.difference(chosen.only)}
    write(objects, chosen.tree, chosen.folder, left_out)


if __name__ == "__main__":
    main()
