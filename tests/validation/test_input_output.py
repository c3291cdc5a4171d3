"""Input and output: what holds training back, what is read, and that damage fails the cases."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import time
from pathlib import Path

import pytest
from payload_runs import (
    STACK_PYTHON,
    load_case_module,
    needs_stack,
    run_case,
    run_python,
)

bottleneck = load_case_module("bottleneck")
storage = load_case_module("storage")
Epoch = bottleneck.Epoch


@pytest.mark.parametrize(
    ("epoch", "named"),
    [
        (Epoch(reading=9, computing=3, full=9), "reading"),
        (Epoch(reading=9, computing=3, full=12), "reading"),
        (Epoch(reading=3, computing=9, full=10), "computing"),
        (Epoch(reading=9, computing=9.5, full=12), "reading and computing alike"),
        (Epoch(reading=3, computing=9, full=13), "computing"),
        (Epoch(reading=3, computing=9, full=14), "hand-over"),
        (Epoch(reading=9, computing=3, full=14), "hand-over"),
    ],
)
def test_the_bottleneck_is_named(epoch: Epoch, named: str) -> None:
    assert bottleneck.bottleneck(epoch) == named


@pytest.mark.parametrize(("full", "share"), [(9, 1.0), (8, 1.0), (12, 0.0), (13, 0.0), (10.5, 0.5)])
def test_the_longer_of_two_hides_the_shorter(full: float, share: float) -> None:
    assert bottleneck.overlapped(Epoch(reading=3, computing=9, full=full)) == share


def test_staging_is_repaid_by_what_each_epoch_saves() -> None:
    assert bottleneck.repaid_after(staging=6, from_shared=5, from_local=2) == 2
    assert bottleneck.repaid_after(staging=6, from_shared=5, from_local=5) is None
    assert bottleneck.repaid_after(staging=6, from_shared=2, from_local=5) is None


def storage_of(folder: Path) -> str:
    """Name the type of the file system, as stat(1) does."""
    command = ["stat", "--file-system", "--format=%T", folder]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def pages_in_memory(file: Path) -> int:
    """Count the pages of a file that are in the page cache, by mincore(2)."""
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        pages = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(mapped)
        failed = ctypes.CDLL(None).mincore(ctypes.byref(start), ctypes.c_size_t(len(mapped)), pages)
        del start  # else the map could not be closed
    assert failed == 0
    return sum(page & 1 for page in pages)


def test_a_forgotten_file_is_read_from_storage(tmp_path: Path) -> None:
    file = tmp_path / "samples"
    file.write_bytes(bytes(64 * mmap.PAGESIZE))
    if storage_of(tmp_path) == "tmpfs":
        pytest.skip("needs pytest's --basetemp on a file system that is not memory")
    assert pages_in_memory(file) == 64

    storage.forget(file)

    assert pages_in_memory(file) == 0
    assert file.read_bytes() == bytes(64 * mmap.PAGESIZE)


def test_a_staged_file_is_a_copy(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "local").mkdir()
    file = tmp_path / "shared/samples"
    file.write_bytes(b"samples")

    copy = storage.stage(file, tmp_path / "local")

    assert (copy, copy.read_bytes()) == (tmp_path / "local/samples", b"samples")


# The last two of RFC 3720, appendix B.4, and the check value of CRC catalogues; all of them, and
# what takes the way of long records, against the definition bit by bit.
TFRECORD = r"""
import tfrecord
from pathlib import Path

def bit_by_bit(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF

assert tfrecord.crc32c(b"123456789") == 0xE3069283
assert tfrecord.crc32c(bytes(32)) == 0x8A9136AA
assert tfrecord.crc32c(b"\xff" * 32) == 0x62A8AB43
for size in (0, 1, 2, 4096, 4097, 8192, 8193, 20001):
    data = bytes(i * i % 251 for i in range(size))
    assert tfrecord.crc32c(data) == bit_by_bit(data), size
file, records = Path("samples.tfrecord"), [b"", b"a", bytes(9999)]
tfrecord.write(file, records)
assert list(tfrecord.read(file)) == records
# As TensorFlow writes a record of no bytes.
assert file.read_bytes()[:16].hex() == "0000000000000000" "29039807" "d8ea82a2"
whole = file.read_bytes()
for at in (0, 9, 17, 40, len(whole) - 1):
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    try:
        list(tfrecord.read(file))
    except ValueError as error:
        assert "is damaged" in str(error)
    else:
        raise AssertionError(at)
file.write_bytes(whole[:-1])
try:
    list(tfrecord.read(file))
except ValueError:
    print("held")
"""


@needs_stack
def test_tfrecords_hold_what_was_written_and_damage_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_python([str(STACK_PYTHON), "-c", TFRECORD], tmp_path / "out")

    assert run.output == "held\n"


# --- faults: those of tests/mutants --------------------------------------------------------------


@needs_stack
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "case", "failed"),
    [
        ("samples_in_wrong_order", ["input_pipeline", "--threads", "1"], {"samples_exact"}),
        ("moments_rounded", ["checkpoint"], {"checkpoint_bitwise"}),
        pytest.param(
            *("copy_cut_short", ["input_pipeline", "--threads", "1"], {"staged_exact"}),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("no_second_reader", ["input_pipeline", "--threads", "1"], {"hdf5_readers_share"}),
            marks=pytest.mark.long,
        ),
    ],
    ids=["order of samples", "checkpoint", "copy", "lock"],
)
def test_damage_shows(
    fault: str,
    case: list[str],
    failed: set[str],
    tmp_path: Path,
    roofline: Path,
) -> None:
    env = {"STACKWRIGHT_ROOFLINE": str(roofline)}
    run = run_case("none", *case, out=tmp_path / "out", env=env, fault=fault)

    assert run.finished(), run.output
    assert run.failed() == failed


@needs_stack
def test_a_slow_start_shows(tmp_path: Path) -> None:
    env = {"STACKWRIGHT_STARTED": str(time.time() - 100)}

    runs = [
        run_case("none", "start", out=tmp_path / "out"),
        run_case("none", "start", out=tmp_path / "slow", env=env),
    ]

    start, slow = (run.values("metric")["start"]["value"] for run in runs)
    floor = runs[0].values("probe")["bare_start"]["value"]
    assert 0.5 * floor < start < 50
    assert 100 < slow < 150


@needs_stack
def test_a_start_of_which_nobody_says_when_it_began_is_no_result(tmp_path: Path) -> None:
    run = run_case("none", "start", out=tmp_path / "out", env={"STACKWRIGHT_STARTED": ""})

    assert not run.finished()
    assert "STACKWRIGHT_STARTED is not set: run 'STACKWRIGHT_STARTED=$(date" in run.output


@needs_stack
@pytest.mark.slow
@pytest.mark.long
def test_folders_that_are_searched_in_vain_cost_operations(tmp_path: Path) -> None:
    folders = [tmp_path / f"empty-{number}" for number in range(5)]
    for folder in folders:
        folder.mkdir()

    run = run_case("none", "import_time", out=tmp_path / "out")
    searching = run_case(
        *("none", "import_time"),
        out=tmp_path / "searching",
        env={"PYTHONPATH": ":".join(map(str, folders))},
    )

    cost = [r.values("metric")["import_operations"]["value"] for r in (run, searching)]
    assert cost[1] > 1.05 * cost[0]
