"""Samples on their way from files into training: reading, computing, both; and what is slower.

Each format holds the same samples, of the shape of climate fields: HDF5, npy, and TFRecord by a
reader of our own (tfrecord.py). Files leave the page cache before every epoch. Staging copies them
to node-local storage, as Kurth et al. 2018 (arXiv:1810.01993), section V-A1, do ahead of training.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import h5py
import numpy as np
import tfrecord
import torch
from bottleneck import Epoch, bottleneck, overlapped, repaid_after
from emit import Emitter
from storage import forget, stage
from timing import summary
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.flop_counter import FlopCounterMode

from probes import emit_ceilings

# Channels, rows, columns of a sample: 16 fields, an eighth of CAM5's 768 x 1152 each way.
SHAPE = (16, 96, 144)
SAMPLES, BATCH = 24, 4
BYTES = SAMPLES * int(np.prod(SHAPE)) * 4
EPOCHS = 3
FEATURES = 32
# How long another process may take to open a file.
PATIENCE_S = 60
HOLD_OPEN = """
import h5py, sys
with h5py.File(sys.argv[1], sys.argv[2]) as file:
    print(len(file["data"]), flush=True)
    sys.stdin.read()
"""
LOCKING = "HDF5_USE_FILE_LOCKING"


def samples() -> Iterator[np.ndarray]:
    """Draw the samples: noise, which does not compress, and their number."""
    noise = np.random.default_rng(1).standard_normal(SHAPE, dtype=np.float32)
    return (noise + np.float32(index) for index in range(SAMPLES))


def write_hdf5(file: Path) -> None:
    """Write an HDF5 file, one chunk a sample."""
    with h5py.File(file, "w") as h5:
        data = h5.create_dataset("data", (SAMPLES, *SHAPE), "f4", chunks=(1, *SHAPE))
        for row, sample in enumerate(samples()):
            data[row] = sample


def read_hdf5(file: Path) -> Iterator[np.ndarray]:
    """Give each sample of an HDF5 file."""
    with h5py.File(file) as h5:
        for row in range(SAMPLES):
            yield h5["data"][row]


def write_npy(file: Path) -> None:
    """Write an npy file."""
    np.save(file, np.stack(list(samples())))


def read_npy(file: Path) -> Iterator[np.ndarray]:
    """Give each sample of an npy file, which is mapped into memory."""
    for sample in np.load(file, mmap_mode="r"):
        yield np.array(sample)


def write_tfrecord(file: Path) -> None:
    """Write a TFRecord file."""
    tfrecord.write(file, (sample.tobytes() for sample in samples()))


def read_tfrecord(file: Path) -> Iterator[np.ndarray]:
    """Give each sample of a TFRecord file; checksums are verified."""
    for record in tfrecord.read(file):
        yield np.frombuffer(bytearray(record), np.float32).reshape(SHAPE)


class Format(NamedTuple):
    """How samples lie in a file."""

    write: Callable[[Path], None]
    read: Callable[[Path], Iterator[np.ndarray]]


FORMATS = {
    "hdf5": Format(write_hdf5, read_hdf5),
    "npy": Format(write_npy, read_npy),
    "tfrecord": Format(write_tfrecord, read_tfrecord),
}


def read_epoch(form: Format, file: Path) -> tuple[list[float], int]:
    """Read a file from storage: seconds of each sample, and how many are wrong."""
    forget(file)
    found = form.read(file)
    seconds, wrong = [], 0
    for wanted in samples():
        begun = time.perf_counter()
        sample = next(found, None)
        seconds.append(time.perf_counter() - begun)
        wrong += sample is None or not np.array_equal(sample, wanted)
    return seconds, wrong + sum(1 for _ in found)


class Stream(IterableDataset[Tensor]):
    """The samples of a file, for torch's loader."""

    def __init__(self, form: Format, file: Path) -> None:
        """Keep what a worker needs to open the file."""
        self._form, self._file = form, file

    def __iter__(self) -> Iterator[Tensor]:
        """Open the file anew for each epoch."""
        return map(torch.from_numpy, self._form.read(self._file))


class Training:
    """A small network on climate fields: what is between two batches."""

    def __init__(self) -> None:
        """Begin with fresh parameters."""
        torch.manual_seed(1)
        self._model = nn.Sequential(
            *(nn.Conv2d(SHAPE[0], FEATURES, 3, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(FEATURES, 3, 3, padding=1),
        )
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-6)

    def step(self, batch: Tensor) -> None:
        """Take one step on (samples, channels, rows, columns)."""
        self._optimizer.zero_grad()
        self._model(batch).square().mean().backward()
        self._optimizer.step()


def compute_epoch(training: Training, batch: Tensor) -> float:
    """Train on one batch in memory as often as an epoch has batches: seconds."""
    begun = time.perf_counter()
    for _ in range(SAMPLES // BATCH):
        training.step(batch)
    return time.perf_counter() - begun


def full_epoch(training: Training, loader: DataLoader[Tensor], file: Path) -> tuple[float, int]:
    """Train on a file's samples from storage: seconds, and the number of samples that are wrong.

    Of each sample one element in some hundreds is compared, which takes no time beside the rest.
    """
    forget(file)
    some = (slice(None), slice(None, None, 5), slice(None, None, 7), slice(None, None, 11))
    wanted = torch.from_numpy(np.stack([sample[some[1:]] for sample in samples()]))
    seen = wrong = 0
    begun = time.perf_counter()
    for batch in loader:
        training.step(batch)
        right = (batch[some] == wanted[seen : seen + len(batch)]).flatten(1).all(dim=1)
        wrong += int((~right).sum())
        seen += len(batch)
    return time.perf_counter() - begun, wrong + abs(SAMPLES - seen)


def open_elsewhere(file: Path, mode: str, locking: str | None) -> subprocess.Popen[str]:
    """Open an HDF5 file in another process, which holds it until its input ends."""
    env = {**os.environ, **({LOCKING: locking} if locking else {})}
    return subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(file), mode],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def opened(process: subprocess.Popen[str]) -> bool:
    """Wait until another process has opened a file, or failed to."""
    assert process.stdout is not None
    return process.stdout.readline().strip() == str(SAMPLES)


def probe_locking(file: Path) -> dict[str, str | bool]:
    """See whether processes share a file for reading, and whether locks keep a writer out.

    HDF5 locks what it opens by flock(2), which some parallel file systems lack or refuse. The first
    reader and the writer insist on locks; the second reader has the stack's own setting, and so has
    the first one where there are no locks.
    """
    first = open_elsewhere(file, "r", "TRUE")
    locks = opened(first)
    if not locks:
        first.communicate(timeout=PATIENCE_S)
        first = open_elsewhere(file, "r", None)
        opened(first)
    second, writer = open_elsewhere(file, "r", None), open_elsewhere(file, "r+", "TRUE")
    share, kept_out = opened(second), not opened(writer)
    for process in (first, second, writer):
        process.communicate(timeout=PATIENCE_S)
    return {
        "setting": os.environ.get(LOCKING, "unset"),
        "locks": "work" if locks and kept_out else "are ignored" if locks else "are refused",
        "readers share": share,
    }


def file_system(folder: Path) -> str:
    """Name the type of the file system that holds a folder, from /proc/self/mounts."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [m for m in mounts if folder.resolve().is_relative_to(m[1])]
    return max(above, key=lambda mount: len(mount[1]))[2]


class Pace(NamedTuple):
    """The computing part of an epoch: its seconds from memory, and its operations."""

    seconds: float
    flops: float


def measure_pace(training: Training) -> Pace:
    """Train on samples in memory alone."""
    batch = torch.from_numpy(np.stack(list(islice(samples(), BATCH))))
    with FlopCounterMode(display=False) as counter:
        training.step(batch)
    flops = counter.get_total_flops() * (SAMPLES // BATCH)
    return Pace(median(compute_epoch(training, batch) for _ in range(EPOCHS)), flops)


def measure_format(out: Emitter, name: str, file: Path, training: Training, pace: Pace) -> int:
    """Write, read and train on samples in a format: the number of wrong samples."""
    form = FORMATS[name]
    form.write(file)
    epochs = [read_epoch(form, file) for _ in range(EPOCHS)]
    # Its worker lives through all epochs; the first one starts it.
    loader = DataLoader(Stream(form, file), BATCH, num_workers=1, persistent_workers=True)
    full = [full_epoch(training, loader, file) for _ in range(EPOCHS + 1)]
    epoch = Epoch(
        reading=median(sum(seconds) for seconds, _ in epochs),
        computing=pace.seconds,
        full=median(seconds for seconds, _ in full[1:]),
    )
    out.metric(f"read_{name}", BYTES / epoch.reading / 1e9, "GB/s")
    out.metric(f"train_{name}", pace.flops / epoch.full / 1e9, "GFLOP/s")
    facts = {
        "bottleneck": bottleneck(epoch),
        **{f"{part} s": seconds for part, seconds in epoch._asdict().items()},
        "overlapped": overlapped(epoch),
        "samples/s": SAMPLES / epoch.full,
    }
    out.info(name, facts | summary([s for seconds, _ in epochs for s in seconds]))
    return sum(wrong for _, wrong in (*epochs, *full))


def measure_staging(out: Emitter, file: Path, folder: Path) -> int:
    """Copy an HDF5 file and read it from both places: the number of wrong samples."""
    forget(file)
    begun = time.perf_counter()
    copy = stage(file, folder)
    staging = time.perf_counter() - begun
    # In turns, so that other load hits both alike.
    turns = [[read_epoch(FORMATS["hdf5"], path) for path in (file, copy)] for _ in range(EPOCHS)]
    shared, local = (
        median(sum(seconds) for seconds, _ in epochs) for epochs in zip(*turns, strict=True)
    )
    repaid = repaid_after(staging, shared, local)
    out.info(
        "staging",
        {
            "from": file_system(file.parent),
            "to": file_system(folder),
            "one device": str(file.stat().st_dev == copy.stat().st_dev),
            "staging GB/s": BYTES / staging / 1e9,
            "speed-up of reading": shared / local,
            "repaid after epochs": "never" if repaid is None else repaid,
        },
    )
    return sum(wrong for turn in turns for _, wrong in turn)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    parser.add_argument("--folder", type=Path, help="on the shared file system; the run's own")
    parser.add_argument("--local", type=Path, help="on node-local storage; the temporary folder")
    options = parser.parse_args()
    above = options.folder or Path(os.environ.get("STACKWRIGHT_OUT") or tempfile.gettempdir())
    with (
        Emitter() as out,
        tempfile.TemporaryDirectory(dir=above) as shared,
        tempfile.TemporaryDirectory(dir=options.local) as local,
    ):
        emit_ceilings(out, options.threads, "peak_fp32", "read_storage", folder=Path(shared))
        training = Training()
        pace = measure_pace(training)
        files = {name: Path(shared, f"samples.{name}") for name in FORMATS}
        wrong = sum(measure_format(out, name, f, training, pace) for name, f in files.items())
        out.check("samples_exact", wrong == 0, f"{wrong} wrong samples")

        wrong = measure_staging(out, files["hdf5"], Path(local))
        out.check("staged_exact", wrong == 0, f"{wrong} wrong samples in the file or its copy")

        locking = probe_locking(files["hdf5"])
        out.info("HDF5 file locking", {key: str(value) for key, value in locking.items()})
        out.check("hdf5_readers_share", bool(locking["readers share"]), f"{locking}")


if __name__ == "__main__":
    main()
