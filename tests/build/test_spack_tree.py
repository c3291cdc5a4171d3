"""The layer that is made of what Spack compiled, without a container: what it holds and says.

The whole of it, in containers and with real libraries, is in tests/spack/test_real_source_build.py.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

IMAGES = Path(__file__).parents[2] / "images"
PREFIX = "/opt/stackwright"
FOO, BAR, TOOL, MPI = (letter * 32 for letter in "fbtm")


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(IMAGES))
    return importlib.import_module("spack_tree")


def spec(name: str, *needs: tuple[str, str], external: bool = False) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "version": "1"}
    found["dependencies"] = [
        {"hash": key, "parameters": {"deptypes": [kind]}} for key, kind in needs
    ]
    return {**found, **({"external": {"path": "/usr"}} if external else {})}


LOCK = {
    "roots": [{"hash": FOO}],
    "concrete_specs": {
        FOO: spec("foo", (BAR, "link"), (TOOL, "build"), (MPI, "run")),
        BAR: spec("bar"),
        TOOL: spec("tool"),
        MPI: spec("mpi", external=True),
    },
}


def install(opt: Path, name: str, key: str, files: dict[str, bytes]) -> Path:
    package = opt / "linux-x86_64_v3" / f"{name}-1-{key}"
    for path, data in {".spack/spec.json": b"{}", **files}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_bytes(data)
    return package


def test_users_get_what_is_linked_and_run_and_not_what_only_builds_or_was_there(
    tree: ModuleType,
) -> None:
    assert tree.needed(LOCK) == [BAR, FOO]


def test_a_package_is_found_by_its_hash_however_deep_spack_puts_it(
    tree: ModuleType, tmp_path: Path
) -> None:
    foo = install(tmp_path, "foo", FOO, {})
    deep = install(tmp_path / "linux-debian12", "bar", BAR, {})

    assert tree.prefixes(tmp_path, [BAR, FOO]) == {BAR: deep, FOO: foo}


def test_a_package_that_was_not_installed_is_named(tree: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"not installed: {FOO}"):
        tree.prefixes(tmp_path, [FOO])


def test_packages_lie_over_each_other_without_what_spack_keeps_for_itself(
    tree: ModuleType, tmp_path: Path
) -> None:
    opt, out = tmp_path / "opt", tmp_path / "out"
    foo = install(opt, "foo", FOO, {"bin/foo": b"1", "share/info/dir": b"same"})
    bar = install(opt, "bar", BAR, {"lib/libbar.so.1": b"2", "share/info/dir": b"same"})
    (bar / "lib" / "libbar.so").symlink_to("libbar.so.1")
    (foo / "lib").mkdir()
    (foo / "lib" / "libfoo-bar.so").symlink_to(bar / "lib" / "libbar.so.1")

    for package in (bar, foo):
        tree.merge(package, opt, out)

    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    assert there == {
        *("bin/foo", "share/info/dir"),
        *("lib/libbar.so", "lib/libbar.so.1", "lib/libfoo-bar.so"),
    }
    assert (out / "lib/libfoo-bar.so").readlink() == Path("libbar.so.1")


def test_two_packages_with_another_file_of_one_name_are_refused(
    tree: ModuleType, tmp_path: Path
) -> None:
    opt = tmp_path / "opt"
    tree.merge(install(opt, "foo", FOO, {"bin/x": b"1"}), opt, tmp_path / "out")

    with pytest.raises(SystemExit, match=r"bin/x of bar-1-b+ is another package's, too"):
        tree.merge(install(opt, "bar", BAR, {"bin/x": b"2"}), opt, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("lib/libfoo.so.1", "/usr/lib/x86_64-linux-gnu/libfoo.so.1"),
        ("share/leak", "../../../../../etc/shadow"),
        ("share/tree", "../.."),
    ],
)
def test_a_link_out_of_what_spack_installed_is_refused(
    tree: ModuleType, tmp_path: Path, name: str, target: str
) -> None:
    opt = tmp_path / "opt"
    foo = install(opt, "foo", FOO, {"lib/x": b"1", "share/x": b"1"})
    (foo / name).symlink_to(target)
    (tmp_path / ".spack").mkdir()  # a home's, which makes it no package

    with pytest.raises(SystemExit, match=f"the link {name} of foo-1-f+ leads out of the prefix"):
        tree.merge(foo, opt, tmp_path / "out")


class Patchelf:
    """What patchelf was asked, and a library that names no folder and needs another."""

    def __init__(self, needed: str) -> None:
        self.needed = needed
        self.set: list[str] = []

    def __call__(self, _program: str, option: str, *rest: str) -> str:
        if option == "--set-rpath":
            self.set.append(rest[0])
        return f"{self.needed}\n" if option == "--print-needed" else ""


@pytest.mark.parametrize(("needed", "found"), [("libbar.so.1", ["$ORIGIN"]), ("libc.so.6", [])])
def test_a_library_that_names_no_folder_finds_what_lies_beside_it(
    tree: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    needed: str,
    found: list[str],
) -> None:
    (tmp_path / "libbar.so.1").touch()
    asked = Patchelf(needed)
    monkeypatch.setattr(tree.layer, "run", asked)

    tree.make_relative(tmp_path / "libfoo.so.1", Path("/out/opt"), tmp_path, Path("patchelf"))

    assert asked.set == found


OWN = re.compile(rb"/out/opt(?:/[\w.+=-]+)*?-[a-z0-9]{32}\b")
INSTALLED = f"/out/opt/linux-x86_64_v3/foo-1-{FOO}".encode()


def test_text_names_the_prefix_of_the_image(tree: ModuleType) -> None:
    assert tree.rename(b"at " + INSTALLED + b"/share", OWN, b"/opt/x") == b"at /opt/x/share"


def test_data_keep_their_length_as_slashes_fill_up_what_is_shorter(tree: ModuleType) -> None:
    data = b"\0" + INSTALLED + b"/share/terminfo\0end"

    found = tree.rename(data, OWN, b"/opt/x")

    assert len(found) == len(data)
    (name,) = re.findall(rb"\0(/opt[^\0]*)\0end", found)
    assert Path(name.decode()).resolve() == Path("/opt/x/share/terminfo")


@pytest.mark.parametrize(
    ("name", "text", "found", "fixed"),
    [
        ("lib/pkgconfig/foo.pc", f"prefix={PREFIX}\n", "prefix=${pcfiledir}/../..\n", False),
        ("bin/foo-config", f"echo {INSTALLED.decode()}\n", f"echo {PREFIX}\n", True),
        ("share/plain", "nothing", "nothing", False),
    ],
)
def test_what_names_the_image_is_told_apart_from_what_can_be_anywhere(
    tree: ModuleType, tmp_path: Path, name: str, text: str, found: str, fixed: bool
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

    assert tree.relocate(path, tmp_path, OWN, PREFIX) is fixed
    assert path.read_text() == found


def test_the_lock_is_read_as_spack_writes_it(tree: ModuleType) -> None:
    """Of the committed one: what Debian's builder has is left out, with the compilers."""
    path = IMAGES.parent / "stacks/locks/fftw-3.3.10-source@local.spack.json"
    lock = json.loads(path.read_bytes())["lock"]

    names = {lock["concrete_specs"][key]["name"] for key in tree.needed(lock)}

    assert names == {"bzip2", "fftw", "gcc-runtime", "ncurses", "ninja", "numactl"}
