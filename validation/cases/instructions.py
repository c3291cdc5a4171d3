"""Kernels use the instructions that this machine offers: what ran is asked, not what is installed.

Each framework computes in a process of its own, which tells what it ran: oneDNN and MKL print every
call, XLA the code that it made. A stack for older processors, or one that lost its libraries, is
correct and several times slower.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from emit import Emitter, listed
from frameworks import findings, load, of_the_stack, part

# Run behind a framework's own program, when all libraries are loaded.
POOLS = """
import json, threadpoolctl
print("pools " + json.dumps(threadpoolctl.threadpool_info()))
"""


class Level(NamedTuple):
    """What a processor can do, by its flags in /proc/cpuinfo, and how kernels for it are named."""

    flags: frozenset[str]
    named: tuple[str, ...]


# Best first. https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
FLOAT32 = (
    Level(frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"}), ("avx512", "avx10")),
    Level(frozenset({"avx2", "fma"}), ("avx2",)),
    Level(frozenset(), ("",)),
)
# Where AVX-512 has no instruction for bfloat16, oneDNN's own product of matrices has another name;
# with AVX2 alone (ONEDNN_MAX_CPU_ISA) it doesn't run.
BFLOAT16 = (
    Level(frozenset({"amx_tile", "amx_bf16"}), ("amx",)),
    Level(FLOAT32[0].flags | {"avx512_bf16"}, FLOAT32[0].named),
    Level(FLOAT32[0].flags, (*FLOAT32[0].named, "gemm:jit:bf16")),
    *FLOAT32[1:],
)
# https://github.com/OpenMathLib/OpenBLAS/blob/develop/TargetList.txt
OPENBLAS = (
    Level(FLOAT32[0].flags, ("skylakex", "cooperlake", "sapphirerapids")),
    Level(FLOAT32[1].flags, ("haswell", "zen")),
    Level(frozenset(), ("",)),
)


class Used(NamedTuple):
    """Whether a framework's kernels are those that a machine of such flags asks for."""

    ok: bool
    detail: str


class Part(Protocol):
    """`instructions_<framework>.py`."""

    def program(self) -> str:
        """Give a program that computes in float32 and bfloat16."""

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Give the variables that make it tell what it runs, in its output or in a folder."""

    def used(self, said: str, folder: Path, flags: frozenset[str]) -> Mapping[str, Used]:
        """Judge its kernels: `float32`, `bfloat16` and `blas`."""


def best(levels: Iterable[Level], flags: frozenset[str]) -> tuple[str, ...]:
    """Give how the best kernels are named that a machine can run."""
    return next(level.named for level in levels if level.flags <= flags)


def all_named(kernels: Iterable[str], names: tuple[str, ...]) -> Used:
    """Check that there are kernels, and that each has one of the names."""
    found = list(dict.fromkeys(kernels))
    right = [kernel for kernel in found if any(name in kernel.lower() for name in names)]
    return Used(bool(found) and right == found, f"{listed(found)}; wanted {' or '.join(names)}")


def processor_flags() -> frozenset[str]:
    """Read what the kernel says that the processor can do."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return frozenset(next(line for line in lines if line.startswith("flags")).split())


def run(each: Part, folder: Path) -> str:
    """Run a framework's program; what it printed."""
    return subprocess.run(
        [sys.executable, "-c", each.program() + POOLS],
        check=True,
        env={**os.environ, **each.environment(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


def pools(said: str) -> list[dict[str, Any]]:
    """Read which libraries with threads of their own the process had in the end."""
    line = next(line for line in said.splitlines() if line.startswith("pools "))
    found: list[dict[str, Any]] = json.loads(line.removeprefix("pools "))
    return found


def judged(found: list[dict[str, Any]], wanted: int, flags: frozenset[str]) -> dict[str, Used]:
    """Judge NumPy's BLAS, and how many OpenMP run times there are beside those declared."""
    openmp = [pool["filepath"] for pool in found if pool["user_api"] == "openmp"]
    blas = [str(p.get("architecture")) for p in found if p["internal_api"] == "openblas"]
    return {
        "openmp_declared": Used(len(openmp) == wanted, f"{listed(openmp)}; declared: {wanted}"),
        "numpy_blas": all_named(blas, best(OPENBLAS, flags)),
    }


def main() -> None:
    """Run the case."""
    names = of_the_stack(__doc__)
    flags = processor_flags()
    with Emitter() as out, findings(out, names) as found:
        for found.framework in names:
            each: Part = part("instructions", found.framework)
            with tempfile.TemporaryDirectory() as folder:
                said = run(each, Path(folder))
                kernels = each.used(said, Path(folder), flags)
            for name, used in kernels.items():
                found.check(f"{name}_kernels", *used)
            declared = load(found.framework).OPENMP_RUNTIMES
            for name, used in judged(pools(said), declared, flags).items():
                found.check(name, *used)


if __name__ == "__main__":
    main()
