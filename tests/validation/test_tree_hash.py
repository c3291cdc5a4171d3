"""The tree hash sees every name, mode, byte and link target, and nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from payload_runs import load_case_module

tree_hash = load_case_module("tree_hash").tree_hash


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "prefix"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin").chmod(0o755)
    (root / "é.txt").write_bytes(b"")
    (root / "é.txt").chmod(0o640)
    (root / "python").symlink_to("bin/tool")
    return root


def test_hash_is_the_one_computed_by_hand(tree: Path) -> None:
    lines = (
        b"d 755 - bin\n"
        + f"f 755 {sha(b'#!/bin/sh' + bytes([10]))} bin/tool\n".encode()
        + f"l 0 {sha(b'bin/tool')} python\n".encode()
        + f"f 640 {sha(b'')} é.txt\n".encode()
    )

    assert tree_hash(tree) == f"sha256:{sha(lines)}"


def test_empty_tree(tmp_path: Path) -> None:
    assert tree_hash(tmp_path) == f"sha256:{sha(b'')}"


def test_order_is_bytewise_over_whole_paths(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a").chmod(0o755)
    for name in ("a/x", "a-b"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    # '-' sorts before '/', so a-b comes between the folder a and what is in it.
    lines = f"d 755 - a\nf 644 {sha(b'')} a-b\nf 644 {sha(b'')} a/x\n"

    assert tree_hash(tmp_path) == f"sha256:{sha(lines.encode())}"


def change_byte(root: Path) -> None:
    (root / "bin/tool").write_bytes(b"#!/bin/sg\n")


def change_mode(root: Path) -> None:
    (root / "bin/tool").chmod(0o775)


def change_folder_mode(root: Path) -> None:
    (root / "bin").chmod(0o700)


def add_file(root: Path) -> None:
    (root / "new").touch()


def add_folder(root: Path) -> None:
    (root / "new").mkdir()


def rename(root: Path) -> None:
    (root / "é.txt").rename(root / "e.txt")


def retarget(root: Path) -> None:
    (root / "python").unlink()
    (root / "python").symlink_to("bin/tool2")


def replace_link_by_its_target(root: Path) -> None:
    (root / "python").unlink()
    (root / "python").write_bytes(b"bin/tool")


@pytest.mark.parametrize(
    "change",
    [
        change_byte,
        change_mode,
        change_folder_mode,
        add_file,
        add_folder,
        rename,
        retarget,
        replace_link_by_its_target,
    ],
)
def test_every_change_shows(tree: Path, change) -> None:  # type: ignore[no-untyped-def]
    before = tree_hash(tree)

    change(tree)

    assert tree_hash(tree) != before


def test_times_and_the_manifest_do_not_count(tree: Path) -> None:
    (tree / "share/stackwright").mkdir(parents=True)
    before = tree_hash(tree)

    (tree / "share/stackwright/manifest.json").write_text("{}")
    os.utime(tree / "bin/tool", (0, 0))

    assert tree_hash(tree) == before


def test_only_the_manifest_in_its_own_place_is_left_out(tree: Path) -> None:
    before = tree_hash(tree)

    (tree / "manifest.json").write_text("{}")

    assert tree_hash(tree) != before


def test_folder_behind_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin").chmod(0o755)
    (tmp_path / "bin/tool").touch()
    (tmp_path / "bin/tool").chmod(0o644)
    (tmp_path / "link").symlink_to("bin")
    lines = f"d 755 - bin\nf 644 {sha(b'')} bin/tool\nl 0 {sha(b'bin')} link\n"

    assert tree_hash(tmp_path) == f"sha256:{sha(lines.encode())}"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("lib", "bin"),
        ("bin/python3", "tool"),
        ("bin/up", "../é.txt"),
        ("whole", "."),
        ("lost", "bin/nothing"),
        ("lost", "python/nothing"),
        ("twice", "python"),
    ],
)
def test_a_link_that_stays_within_has_a_hash(tree: Path, name: str, target: str) -> None:
    (tree / name).symlink_to(target)

    assert tree_hash(tree).startswith("sha256:")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bin/numactl-latest", "/tmp/evil/numactl"),
        ("lib", "/usr/lib/nothing-yet"),
        ("up", "../elsewhere"),
        ("bin/up", "../../elsewhere"),
        ("out-and-in", "../prefix/bin/tool"),
        ("through", "bin/../../elsewhere"),
        ("share/stackwright/manifest.json", "/tmp/evil/manifest.json"),
        ("itself", "itself"),
    ],
)
def test_a_link_out_of_the_prefix_is_refused(tree: Path, name: str, target: str) -> None:
    (tree / "share/stackwright").mkdir(parents=True)
    (tree / name).symlink_to(target)

    with pytest.raises(ValueError, match=f"the link {name} leads out of the prefix, to {target}"):
        tree_hash(tree)


def test_a_link_out_through_another_one_is_refused(tree: Path) -> None:
    """By its text `bin/root/../x` stays within: but `root` is not where it seems to be."""
    (tree / "bin/root").symlink_to("..")
    (tree / "detour").symlink_to("bin/root/../x")

    with pytest.raises(ValueError, match="the link detour leads out of the prefix"):
        tree_hash(tree)


def test_line_break_in_a_name_is_refused(tree: Path) -> None:
    (tree / "a\nf 644 forged b").touch()

    with pytest.raises(ValueError, match="line break in the name"):
        tree_hash(tree)


def test_special_file_is_refused(tree: Path) -> None:
    os.mkfifo(tree / "pipe")

    with pytest.raises(ValueError, match="'pipe' is not a file"):
        tree_hash(tree)
