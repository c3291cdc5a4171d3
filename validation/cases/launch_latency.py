"""How long it takes until any work begins: what small kernels cost however fast they are.

Launched from Python, as users do: an addition to one element, which on a GPU is a kernel of its
own; and an empty parallel region of the OpenMP runtime that the stack has loaded. Both count, so
that a launch that did not happen shows. The first is held against a call in C, the second against
a word's way from one processor to another: a region is at least one way there, and one back.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from statistics import median

import torch
from emit import Emitter
from imports import OPENMP, mapped
from timing import summary, verified_seconds

from probes import emit_ceilings

BATCHES = 100
LAUNCHES = 200
SEMAPHORE_BYTES = 64  # glibc's sem_t has 32


class Operators:
    """Additions to one element, on the GPU where there is one."""

    counts = 1
    """By a launch."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._gpu = torch.cuda.is_available()
        self._counter = torch.zeros(1, dtype=torch.int64, device="cuda" if self._gpu else "cpu")

    def launch(self) -> None:
        """Launch a batch, and wait until all of it is done."""
        for _ in range(LAUNCHES):
            self._counter.add_(1)
        if self._gpu:
            torch.cuda.synchronize()

    def counted(self) -> int:
        """Give the number of launches that have happened."""
        return int(self._counter.item())


class Regions:
    """Parallel regions in which each thread raises a semaphore, and does nothing else.

    `GOMP_parallel` is what compilers make of `#pragma omp parallel`: libgomp has it, and LLVM's and
    Intel's runtimes for its sake. `sem_post` is a function of the kind that it runs on each thread.
    """

    def __init__(self, threads: int) -> None:
        """Take the runtime that torch has loaded.

        Raises:
            ValueError: if there is none, or more than one.
        """
        (runtime,) = mapped(OPENMP)
        libc = ctypes.CDLL(None)
        self.counts = threads
        self._parallel = ctypes.CDLL(runtime).GOMP_parallel
        self._value = libc.sem_getvalue
        self._semaphore = ctypes.create_string_buffer(SEMAPHORE_BYTES)
        libc.sem_init(self._semaphore, 0, 0)
        # All threads that OMP_NUM_THREADS gives, with no options.
        post = ctypes.cast(libc.sem_post, ctypes.c_void_p)
        self._arguments = post, ctypes.byref(self._semaphore), ctypes.c_uint(0), ctypes.c_uint(0)

    def launch(self) -> None:
        """Launch a batch; a region ends when all of its threads have."""
        for _ in range(LAUNCHES):
            self._parallel(*self._arguments)

    def counted(self) -> int:
        """Give how often a thread took part."""
        value = ctypes.c_int()
        self._value(self._semaphore, ctypes.byref(value))
        return value.value


def measure(out: Emitter, name: str, kind: Operators | Regions) -> str:
    """Time batches of launches; what is wrong with their number, or nothing."""
    wrong: list[str] = []
    wanted = 0

    def verify(_: None) -> None:
        nonlocal wanted
        wanted += LAUNCHES * kind.counts
        if kind.counted() != wanted:
            wrong.append(f"{name}: {kind.counted()} counted, not {wanted}")

    seconds = verified_seconds(kind.launch, verify, BATCHES)
    each = [batch / LAUNCHES for batch in seconds]
    out.metric(name, median(each) * 1e6, "us")
    out.info(name, summary(each))
    return wrong[0] if wrong else ""


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    threads: int = parser.parse_args().threads
    with Emitter() as out:
        emit_ceilings(out, threads, "call", "shm_latency")
        kinds: dict[str, Callable[[], Operators | Regions]] = {
            "launch_operator": Operators,
            "launch_region": lambda: Regions(threads),
        }
        wrong = [measure(out, name, make()) for name, make in kinds.items()]
        told = ", ".join(filter(None, wrong)) or "all that were launched"
        out.check("launches_counted", not any(wrong), told)


if __name__ == "__main__":
    main()
