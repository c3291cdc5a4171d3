"""The hardware's ceilings, measured in the same run as the metric that is held against them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from emit import Emitter


class Ceiling(NamedTuple):
    """A best-of-several rate of the bare hardware."""

    value: float
    unit: str


def measure(threads: int, *names: str, folder: Path | None = None) -> dict[str, Ceiling]:
    """Run the roofline binary.

    Args:
        threads: what all ranks were granted together. Not what the stack says that it uses: a
            stack that leaves CPUs idle must not lower its own ceiling.
        names: the ceilings wanted; see probes/roofline.c.
        folder: where storage is probed; /tmp unless given.

    Raises:
        RuntimeError: if STACKWRIGHT_ROOFLINE names no binary.
        subprocess.CalledProcessError: if the binary fails.
    """
    binary = os.environ.get("STACKWRIGHT_ROOFLINE")
    if not binary:
        raise RuntimeError(
            "STACKWRIGHT_ROOFLINE is not set: build it with 'cc -O3 -march=native -static "
            "-pthread -o roofline probes/roofline.c' and set the variable to its path"
        )
    command = [binary, "--threads", str(threads), "--only", ",".join(names)]
    if folder:
        command += ["--folder", str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return {name: Ceiling(**fields) for name, fields in json.loads(output).items()}


def emit_ceilings(out: Emitter, threads: int, *names: str, folder: Path | None = None) -> None:
    """Measure and emit the named ceilings; rank 0 alone, while the other ranks wait."""
    if out.rank == 0:
        for name, ceiling in measure(threads, *names, folder=folder).items():
            out.probe(name, ceiling.value, ceiling.unit)
