"""Input and output: what holds training back, what is read, and that damage fails the cases."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from payload_runs import (
    CASES,
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
import numpy as np
from pathlib import Path

def bit_by_bit(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF

def crc32c(*records):
    rows = np.stack([np.frombuffer(record, np.uint8) for record in records])
    return tfrecord.crc32c(rows).tolist()

assert crc32c(b"123456789") == [0xE3069283]
assert crc32c(bytes(32), b"\xff" * 32) == [0x8A9136AA, 0x62A8AB43]
for size in (0, 1, 2, 31, 32, 33, 4097, 20001):
    some = [bytes((i * i + salt) % 251 for i in range(size)) for salt in range(3)]
    assert crc32c(*some) == [bit_by_bit(data) for data in some], size
file, records = Path("samples.tfrecord"), [b"", b"a", *[bytes([i]) * 9999 for i in range(40)]]
tfrecord.write(file, records)
assert list(tfrecord.read(file)) == records
# As TensorFlow writes a record of no bytes.
assert file.read_bytes()[:16].hex() == "0000000000000000" "29039807" "d8ea82a2"
# Counted through all files, in any order.
by_number = tfrecord.Records([file, file])
assert by_number.read([44, 1, 0, 2, 41]) == [records[n] for n in (2, 1, 0, 2, 41)]

def all_of(file):
    return list(tfrecord.read(file))

def by_numbers(file):
    return tfrecord.Records([file]).read(range(len(records)))

def damaged(read, data):
    file.write_bytes(data)
    try:
        read(file)
    except ValueError as error:
        return "damaged or cut" in str(error)

whole = file.read_bytes()
for read in (all_of, by_numbers):
    for at in (0, 7, 9, 13, 20, 29, 40, len(whole) - 1):
        assert damaged(read, whole[:at] + bytes([whole[at] ^ 128]) + whole[at + 1 :]), (read, at)
    for size in (5, 8, 14, 31, len(whole) - 1):
        assert damaged(read, whole[:size]), (read, size)
print("held")
"""


@needs_stack
def test_tfrecords_hold_what_was_written_and_damage_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_python([str(STACK_PYTHON), "-c", TFRECORD], tmp_path / "out")

    assert run.output == "held\n"


EXAMPLE = r"""
import sys
import numpy as np
import tfexample
sample = {"x": bytes(range(256)) * 100, "y": np.array([0.5, -1.25, 3.0], np.float32), "": b""}
found = tfexample.decode(tfexample.encode(sample))
assert found.keys() == sample.keys() and found["x"] == sample["x"] and found[""] == b""
assert found["y"].dtype == np.float32 and found["y"].tolist() == [0.5, -1.25, 3.0]
sys.stdout.buffer.write(tfexample.encode(sample))
"""


def tf_example() -> Any:
    """TensorFlow's message, of https://github.com/tensorflow/tensorflow, core/example/*.proto."""
    file = FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    feature, features, entry, example = (
        *(file.message_type.add(name=name) for name in ("Feature", "Features")),
        file.message_type[1].nested_type.add(name="FeatureEntry"),
        file.message_type.add(name="Example"),
    )
    for number, (name, kind) in enumerate({"bytes": 12, "float": 2, "int64": 3}.items(), 1):
        values = file.message_type.add(name=f"{name.title()}List")
        values.field.add(name="value", number=1, label=3, type=kind)
        of = f".tensorflow.{values.name}"
        feature.field.add(name=f"{name}_list", number=number, label=1, type=11, type_name=of)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=1, type=9)
    entry.field.add(name="value", number=2, label=1, type=11, type_name=".tensorflow.Feature")
    of = ".tensorflow.Features.FeatureEntry"
    features.field.add(name="feature", number=1, label=3, type=11, type_name=of)
    of = ".tensorflow.Features"
    example.field.add(name="features", number=1, label=1, type=11, type_name=of)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))()


@needs_stack
def test_an_example_is_what_protobuf_makes_of_tensorflows_message(tmp_path: Path) -> None:
    argv = [str(STACK_PYTHON), "-c", EXAMPLE]
    env = {"PYTHONPATH": str(CASES)}
    written = subprocess.run(argv, check=True, env=env, stdout=subprocess.PIPE).stdout

    message = tf_example()
    message.ParseFromString(written)
    feature = message.features.feature
    assert feature["x"].bytes_list.value == [bytes(range(256)) * 100]
    assert list(feature["y"].float_list.value) == [0.5, -1.25, 3.0]
    assert sorted(feature) == ["", "x", "y"]


STRANGE = """
import sys, tfexample
try:
    tfexample.decode(bytes.fromhex(sys.argv[1]))
except ValueError as error:
    print(error)
"""


@needs_stack
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("0801", "field 1 is of wire type 0: no list of bytes or floats"),
        ("0a05", "field 1 is cut"),
        ("0aff", "a length is cut"),
    ],
)
def test_what_is_no_example_is_refused(data: str, said: str, tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", STRANGE, data], tmp_path / "out")

    assert run.output == f"{said}\n"


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
