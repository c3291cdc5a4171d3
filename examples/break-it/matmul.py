"""Speed of a matrix product by the clock of CPU time, which other jobs on the machine hardly touch.

The shipped case `compute` times more kernels by wall time, and wants a quiet machine.
"""

from __future__ import annotations

import time
from statistics import median

import torch
from emit import Emitter

from probes import emit_ceilings

SIZE = 1024
REPETITIONS = 15


def product_seconds(matrix: torch.Tensor) -> float:
    """Time one product in this thread."""
    begun = time.thread_time()
    torch.mm(matrix, matrix)
    return time.thread_time() - begun


def main() -> None:
    """Run the case."""
    with Emitter() as out:
        emit_ceilings(out, 1, "peak_fp32")
        torch.manual_seed(1)
        matrix = torch.randn(SIZE, SIZE)
        product_seconds(matrix)
        seconds = median(product_seconds(matrix) for _ in range(REPETITIONS))
        out.metric("gemm_fp32", 2 * SIZE**3 / seconds / 1e9, "GFLOP/s")


if __name__ == "__main__":
    main()
