"""Make a layer of what Spack installed: the packages that users need, laid over each other.

Runs in a container of the base image, offline; standard library only. A package knows the folder
that it was compiled for, so in the layer

- libraries are found relative to the file that needs them (RUNPATH), wherever the prefix is;
- pkg-config's files are relative to where they lie;
- what else names that folder names the prefix of the image instead: programs compile in where their
  data are. These files are listed in share/stackwright/fixed-paths.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True

import layer  # noqa: E402  (beside this file; must leave no bytecode)

FIXED = "share/stackwright/fixed-paths.txt"
NEEDED_BY_USERS = {"link", "run"}
ELF = b"\x7fELF"
Specs = Mapping[str, Mapping[str, Any]]


def needed(lock: Mapping[str, Any]) -> list[str]:
    """The hashes of the packages that are used at run time, by name; what was there is left out."""
    specs: Specs = lock["concrete_specs"]
    found: set[str] = set()
    todo = [root["hash"] for root in lock["roots"]]
    while todo:
        key = todo.pop()
        if key in found or "external" in specs[key]:
            continue
        found.add(key)
        todo += [each["hash"] for each in dependencies(specs[key])]
    return sorted(found, key=lambda key: (specs[key]["name"], key))


def dependencies(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a package needs when it is used."""
    for each in spec.get("dependencies", ()):
        if NEEDED_BY_USERS & {*each["parameters"]["deptypes"]}:
            yield each


def prefixes(opt: Path, keys: Iterable[str]) -> dict[str, Path]:
    """Where packages are installed, by their hashes.

    Raises:
        SystemExit: one is not there.
    """
    places = {path.parent.name.rpartition("-")[2]: path.parent for path in opt.rglob(".spack")}
    if lost := [key for key in keys if key not in places]:
        sys.exit(f"spack_tree.py: not installed: {', '.join(lost)}")
    return {key: places[key] for key in keys}


def merge(package: Path, opt: Path, out: Path) -> None:
    """Lay a package over what is there.

    Raises:
        SystemExit: another one has a different file of the same name.
    """
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package)
        target = out / name
        if name.parts[0] == ".spack" or (path.is_dir() and not path.is_symlink()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            if content(target) != content(path):
                sys.exit(f"spack_tree.py: {name} of {package.name} is another package's, too")
            continue
        if path.is_symlink():
            link(path, package, opt, target, out)
        else:
            shutil.copyfile(path, target)
            target.chmod(path.stat().st_mode & 0o777 | 0o200)


def content(path: Path) -> bytes:
    """What a file holds, or where a link points."""
    return str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()


def link(path: Path, package: Path, opt: Path, target: Path, out: Path) -> None:
    """Make a link anew, relative, to what it points to in its own package or in another.

    What leaves by a detour, through another link, is found when the prefix is hashed.

    Raises:
        SystemExit: it leads out of what Spack installed.
    """
    pointed = Path(os.path.normpath(path.parent / path.readlink()))
    home = package if pointed.is_relative_to(package) else package_of(pointed, opt)
    if home is None:
        name = path.relative_to(package)
        sys.exit(
            f"spack_tree.py: the link {name} of {package.name} leads out of the prefix,"
            f" to {path.readlink()}"
        )
    target.symlink_to(os.path.relpath(out / pointed.relative_to(home), target.parent))


def package_of(path: Path, opt: Path) -> Path | None:
    """The package of the install tree to which a file belongs, if it is of one."""
    parents = (parent for parent in (path, *path.parents) if parent.is_relative_to(opt))
    return next((parent for parent in parents if (parent / ".spack").is_dir()), None)


def make_relative(elf: Path, opt: Path, out: Path, patchelf: Path) -> None:
    """Have a library or program find its libraries relative to itself; folders elsewhere go.

    One that names no folder, as GCC's own do, finds those that lie beside it.
    """
    old = layer.run(str(patchelf), "--print-rpath", str(elf)).strip()
    if not old:
        names = layer.run(str(patchelf), "--print-needed", str(elf)).splitlines()
        if any((elf.parent / name).is_file() for name in names):
            layer.run(str(patchelf), "--set-rpath", "$ORIGIN", str(elf))
        return
    within = [Path(each) for each in old.split(":") if Path(each).is_dir()]
    packages = [(each, package_of(each, opt)) for each in within]
    homes = [out / each.relative_to(package) for each, package in packages if package]
    new = [f"$ORIGIN/{os.path.relpath(home, elf.parent)}" for home in homes if home.is_dir()]
    unique = ":".join(dict.fromkeys(new))
    change = ("--set-rpath", unique) if unique else ("--remove-rpath",)
    layer.run(str(patchelf), *change, str(elf))


def rename(data: bytes, installed: re.Pattern[bytes], prefix: bytes) -> bytes:
    """Name the prefix of the image in place of a package's own.

    Where that is in the middle of binary data, their length has to stay: slashes fill it up.
    """
    if b"\0" not in data:
        return installed.sub(prefix, data)
    return installed.sub(lambda found: prefix.ljust(len(found[0]), b"/"), data)


def relocate(path: Path, out: Path, installed: re.Pattern[bytes], prefix: str) -> bool:
    """Change what a file says of where it is installed; True if it names the image's prefix."""
    old = path.read_bytes()
    new = rename(old, installed, prefix.encode())
    if path.suffix == ".pc":
        above = os.path.relpath(out, path.parent)
        new = new.replace(prefix.encode(), b"${pcfiledir}/" + above.encode())
    if new != old:
        path.write_bytes(new)
    return prefix.encode() in new


def main() -> None:
    """Parse the command line and make the layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lock", type=Path, required=True, help="spack.lock")
    parser.add_argument("--opt", type=Path, required=True, help="Spack's install tree")
    parser.add_argument("--tools", type=Path, required=True, help="folder of build-tool wheels")
    parser.add_argument("--prefix", required=True, help="where the prefix is in the image")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    out: Path = args.out
    out.mkdir(parents=True)
    packages = prefixes(args.opt, needed(json.loads(args.lock.read_bytes())))
    patchelf = layer.unpack_patchelf(args.tools)
    for package in packages.values():
        print(package.name, flush=True)
        merge(package, args.opt, out)
    # As in the files: any package of the install tree, which is `<name>-<version>-<hash>`.
    installed = re.compile(re.escape(str(args.opt)).encode() + rb"(?:/[\w.+=-]+)*?-[a-z0-9]{32}\b")
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and not path.is_symlink()]
    fixed = []
    for path in files:
        with path.open("rb") as file:
            if file.read(len(ELF)) == ELF and path.suffix not in (".o", ".a"):
                make_relative(path, args.opt, out, patchelf)
        if relocate(path, out, installed, args.prefix):
            fixed.append(path.relative_to(out).as_posix())
    (out / FIXED).parent.mkdir(parents=True, exist_ok=True)
    (out / FIXED).write_text("".join(f"{name}\n" for name in fixed))
    print(f"{len(fixed)} files name {args.prefix}", flush=True)
    layer.finish(out)


if __name__ == "__main__":
    main()
