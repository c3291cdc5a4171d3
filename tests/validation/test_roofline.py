"""The roofline probe builds without a warning and reports every ceiling."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from payload_runs import VALIDATION

UNITS = {
    "peak_fp32": "GFLOP/s",
    "peak_fp64": "GFLOP/s",
    "peak_bf16": "GFLOP/s",
    "triad": "GB/s",
    "update": "GB/s",
    "loopback": "GB/s",
    "memcpy": "GB/s",
    "loopback_latency": "us",
    "memcpy_shm": "GB/s",
    "shm_latency": "us",
    "read_cached": "GB/s",
    "read_storage": "GB/s",
    "write_synced": "GB/s",
    "call": "us",
}


@pytest.fixture(scope="module")
def roofline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("install a C compiler named cc, such as Debian's gcc with libc6-dev")
    binary = tmp_path_factory.mktemp("roofline") / "roofline"
    flags = ["-O3", "-march=native", "-static", "-pthread", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", binary, VALIDATION / "probes/roofline.c"], check=True)
    return binary


def test_all_ceilings(roofline: Path) -> None:
    output = subprocess.run([roofline, "--threads", "2"], check=True, stdout=subprocess.PIPE)

    ceilings = json.loads(output.stdout)
    assert {name: ceiling["unit"] for name, ceiling in ceilings.items()} == UNITS
    assert all(ceiling["value"] > 0 for ceiling in ceilings.values())


def test_storage_is_probed_in_the_given_folder(roofline: Path, tmp_path: Path) -> None:
    command = [roofline, "--threads", "1", "--only", "read_storage,write_synced", "--folder"]

    subprocess.run([*command, tmp_path], check=True, stdout=subprocess.PIPE)
    failed = subprocess.run(
        [*command, tmp_path / "missing"], check=False, stderr=subprocess.PIPE, text=True
    )

    assert list(tmp_path.iterdir()) == []
    assert failed.returncode == 1
    assert "missing: No such file" in failed.stderr


def test_only_what_is_asked(roofline: Path) -> None:
    command = [roofline, "--threads", "1", "--only", "peak_fp64,loopback"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE)

    assert set(json.loads(output.stdout)) == {"peak_fp64", "loopback"}


def test_reads_the_given_file(roofline: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    command = [roofline, "--threads", "1", "--only", "read_cached", "--file", missing]

    failed = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)

    assert failed.returncode == 1
    assert "missing: No such file" in failed.stderr


@pytest.mark.parametrize(
    "args", [["--only", "triadd"], ["--threads", "0"], ["--threads"], ["--nonsense", "1"]]
)
def test_misuse_names_the_probes(roofline: Path, args: list[str]) -> None:
    failed = subprocess.run([roofline, *args], check=False, stderr=subprocess.PIPE, text=True)

    assert failed.returncode == 2
    assert "names: peak_fp32" in failed.stderr
