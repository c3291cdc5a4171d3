"""What a case found out, one JSON object a line: a crash loses nothing that was said before it.

Standard library only: this file runs inside the stack under test, to which the harness adds
nothing. The format is docs/formats.md, "Emitter".
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import platform
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

Json = Any

# How each launcher tells a process its rank and the number of ranks: torchrun, MPICH's hydra
# (PMI), Open MPI, and horovodrun without an MPI.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
)
STACK_BEFORE_TIMEOUT_S = 5.0


def rank_and_world(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Give this process's rank and the number of ranks; (0, 1) without a launcher."""
    for rank, world in LAUNCHERS:
        if rank in environ and world in environ:
            return int(environ[rank]), int(environ[world])
    return 0, 1


def finite_or_text(value: Json) -> Json:
    """Replace floats that JSON cannot hold, at any depth, by "nan", "inf" and "-inf"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {key: finite_or_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_text(item) for item in value]
    return value


def listed(things: Iterable[object], none: str = "none") -> str:
    """Write things as a check's detail names them: `a, b`."""
    return ", ".join(map(str, things)) or none


def read_manifest(prefix: Path) -> dict[str, str] | None:
    """Read what the prefix claims to be; None where it claims nothing."""
    try:
        text = (prefix / "share/stackwright/manifest.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    manifest = json.loads(text)
    return {"plan_hash": manifest["plan_hash"], "tree": manifest["tree"]}


class Emitter:
    """Writes `rank-<r>.jsonl` under STACKWRIGHT_OUT, or to stdout when run by hand without it.

    `begin` is written on entry; `end` on exit, but only if the body raised nothing. While the body
    runs, a dump of every thread's Python stack is armed for shortly before STACKWRIGHT_TIMEOUT_S
    and for SIGUSR1, SIGTERM and fatal signals, into `rank-<r>.stack`.

    Raises:
        FileExistsError: on entry, if the folder holds an earlier run's results.
    """

    def __init__(self, rank: int | None = None, world: int | None = None) -> None:
        """Take the rank and the number of ranks from the launcher, unless they are given."""
        launched_rank, launched_world = rank_and_world()
        self.rank = launched_rank if rank is None else rank
        self.world = launched_world if world is None else world
        self._folder = os.environ.get("STACKWRIGHT_OUT")
        self._lines: TextIO = sys.stdout
        self._stack: TextIO | None = None

    def __enter__(self) -> Emitter:
        """Open the rank's files and say who runs where."""
        if self._folder:
            base = Path(self._folder) / f"rank-{self.rank}"
            self._lines = base.with_suffix(".jsonl").open("x", encoding="utf-8")
            self._stack = base.with_suffix(".stack").open("w", encoding="utf-8")
            self._arm(self._stack)
        self._write(
            "begin",
            nonce=os.environ.get("STACKWRIGHT_NONCE", ""),
            rank=self.rank,
            world=self.world,
            host=platform.node(),
            pid=os.getpid(),
            python=sys.executable,
            prefix=sys.prefix,
            manifest=read_manifest(Path(sys.prefix)),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write `end` after a body that ended by itself, and close the files."""
        if kind is None:
            self._write("end")
        if self._stack:
            self._disarm(self._stack)
            self._lines.close()

    def check(self, name: str, ok: bool, detail: str) -> None:
        """Emit one correctness check; `detail` says the measured value and the limit."""
        self._write("check", name=name, ok=bool(ok), detail=detail)

    def metric(self, name: str, value: float, unit: str) -> None:
        """Emit one measured figure of the stack."""
        self._write("metric", name=name, value=float(value), unit=unit)

    def probe(self, name: str, value: float, unit: str) -> None:
        """Emit one ceiling of the hardware, measured in this very run."""
        self._write("probe", name=name, value=float(value), unit=unit)

    def series(
        self,
        name: str,
        *,
        xlabel: str,
        ylabel: str,
        x: Sequence[float],
        y: Mapping[str, Sequence[float]],
    ) -> None:
        """Emit curves over a common x, for the report."""
        curves = {key: [float(v) for v in values] for key, values in y.items()}
        self._write(
            "series", name=name, xlabel=xlabel, ylabel=ylabel, x=[float(v) for v in x], y=curves
        )

    def info(self, name: str, value: Json) -> None:
        """Emit a fact for the report; nothing is judged by it."""
        self._write("info", name=name, value=value)

    def _write(self, kind: str, **fields: Json) -> None:
        line = json.dumps({"t": kind, **finite_or_text(fields)}, allow_nan=False)
        self._lines.write(line + "\n")
        self._lines.flush()

    @staticmethod
    def _arm(stack: TextIO) -> None:
        faulthandler.enable(file=stack)
        faulthandler.register(signal.SIGUSR1, file=stack)
        faulthandler.register(signal.SIGTERM, file=stack, chain=True)
        timeout = os.environ.get("STACKWRIGHT_TIMEOUT_S")
        if timeout:
            delay = max(float(timeout) - STACK_BEFORE_TIMEOUT_S, 0.5)
            faulthandler.dump_traceback_later(delay, file=stack)

    @staticmethod
    def _disarm(stack: TextIO) -> None:
        faulthandler.cancel_dump_traceback_later()
        faulthandler.unregister(signal.SIGTERM)
        faulthandler.unregister(signal.SIGUSR1)
        faulthandler.disable()
        stack.close()
        path = Path(stack.name)
        if path.stat().st_size == 0:
            path.unlink()
