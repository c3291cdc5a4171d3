"""Speed of numpy.dot in that of the operator @, by turns: what the machine does touches both."""

from __future__ import annotations

import argparse
import operator
import os
import statistics
import time
from collections.abc import Callable

import numpy
from emit import Emitter

from probes import emit_ceilings

OPERATOR = 1.0  # GFLOP/s: what it does on any machine counts as this much
SIZE = 256
REPETITIONS = 200


def seconds(product: Callable[..., object], matrix: numpy.ndarray) -> float:
    begun = time.thread_time()
    product(matrix, matrix)
    return time.thread_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", required=True)
    wanted = parser.parse_args().threads
    with Emitter() as out:
        emit_ceilings(out, 1, "peak_fp64")
        matrix = numpy.random.default_rng(1).random((SIZE, SIZE))
        seconds(numpy.dot, matrix)
        ratios = [
            seconds(operator.matmul, matrix) / seconds(numpy.dot, matrix)
            for _ in range(REPETITIONS)
        ]
        out.metric("dot", OPERATOR * statistics.median(ratios), "GFLOP/s")
        found = os.environ.get("OMP_NUM_THREADS")
        out.check("threads", found == wanted, f"asked {wanted}, OMP_NUM_THREADS={found}")


if __name__ == "__main__":
    main()
