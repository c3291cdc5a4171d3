"""The case of programs: each question has one answer, and another one fails its check."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from payload_runs import load_case_module

programs = load_case_module("programs")


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack whose programs a test writes, or takes from this machine."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    return tmp_path


def take(prefix: Path, *names: str) -> None:
    for name in names:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"needs the program {name}")
        (prefix / "bin" / name).symlink_to(found)


def write(prefix: Path, name: str, script: str) -> None:
    path = prefix / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_bzip2_packs_and_unpacks(prefix: Path) -> None:
    take(prefix, "bzip2")

    assert programs.bzip2()[0]


def test_a_bzip2_that_loses_the_end_is_told(prefix: Path) -> None:
    bzip2 = shutil.which("bzip2") or pytest.skip("needs the program bzip2")
    write(prefix, "bzip2", f'head -c 500000 | {bzip2} "$@"')

    assert not programs.bzip2()[0]


def test_a_ninja_that_never_builds_anew_is_told(prefix: Path) -> None:
    write(prefix, "ninja", "cat a b >c; cat c c >d; echo built")

    ok, detail = programs.ninja()

    assert not ok
    assert detail == "made '1212', then 'built', and '3232' of another file"


def test_a_ninja_that_does_not_look_at_times_is_told(prefix: Path) -> None:
    write(prefix, "ninja", "test -e d && exec echo no work to do; cat a b >c; cat c c >d")

    ok, detail = programs.ninja()

    assert not ok
    assert detail == "made '1212', then 'no work to do', and '1212' of another file"


@pytest.mark.parametrize(("cpus", "ok"), [("*os.sched_getaffinity(0)", True), ("99", False)])
def test_numactl_has_to_know_the_cpus_of_the_process(prefix: Path, cpus: str, ok: bool) -> None:
    shown = f"python3 -c 'import os; print(\"physcpubind:\", {cpus})'"
    write(
        prefix,
        "numactl",
        f'case $1 in --show) {shown};; *) taskset -c "${{1#*=}}" "$2" "$3" "$4";; esac',
    )

    assert programs.numactl()[0] is ok


def test_numactl_has_to_bind(prefix: Path) -> None:
    shown = "python3 -c 'import os; print(\"physcpubind:\", *os.sched_getaffinity(0))'"
    write(prefix, "numactl", f"case $1 in --show) {shown};; *) echo 0 1 2;; esac")

    assert not programs.numactl()[0]


def test_descriptions_of_terminals_are_those_of_the_stack(prefix: Path) -> None:
    write(prefix, "tput", "case $3 in cols) echo 80;; lines) echo 24;; esac")
    told = "echo '# Reconstructed via infocmp from file: {}/share/terminfo/v/vt100'"
    write(prefix, "infocmp", told.format(f"{prefix}//"))
    assert programs.terminfo()[0]

    write(prefix, "infocmp", told.format("/usr"))
    assert not programs.terminfo()[0]
