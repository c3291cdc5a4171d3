"""Best speed of a matrix product by the clock of CPU time: other jobs hardly touch either."""

from __future__ import annotations

import argparse
import os
import time

import numpy
from emit import Emitter

from probes import emit_ceilings

SIZE = 256
REPETITIONS = 400


def product_seconds(matrix: numpy.ndarray) -> float:
    begun = time.thread_time()
    numpy.dot(matrix, matrix)
    return time.thread_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", required=True)
    wanted = parser.parse_args().threads
    with Emitter() as out:
        emit_ceilings(out, 1, "peak_fp64")
        matrix = numpy.random.default_rng(1).random((SIZE, SIZE))
        product_seconds(matrix)
        seconds = min(product_seconds(matrix) for _ in range(REPETITIONS))
        out.metric("dot", 2 * SIZE**3 / seconds / 1e9, "GFLOP/s")
        found = os.environ.get("OMP_NUM_THREADS")
        out.check("threads", found == wanted, f"asked {wanted}, OMP_NUM_THREADS={found}")


if __name__ == "__main__":
    main()
