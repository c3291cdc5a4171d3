"""The kernels under every training step, by any framework: GEMM, 3-D convolution, triad.

Each is held against the machine's ceiling, and against NumPy in float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
from emit import Emitter
from frameworks import frameworks, part, stack_argument
from timing import median_seconds

from probes import emit_ceilings

REPETITIONS = 7
GEMM_SIZE = {"float32": 2048, "float64": 1536, "bfloat16": 2048}
# Samples, channels in and out, cells a side: the second block of CosmoFlow at 64^3.
SAMPLES, CHANNELS, FILTERS, CELLS = 2, 16, 32, 32
# As large as the probe's arrays, so that both miss the caches alike.
TRIAD_BYTES = 256 << 20
TRIAD_FACTOR = 3.0
# Rounding of sums of n random terms is a few times eps * sqrt(n), relative to the largest result:
# n is some thousands in a matrix product, 65,536 in the gradient of the convolution's weight.
# bfloat16 or TF32 in place of float32 gives 1e-3 and more; bfloat16 rounds its results to 2^-8.
TOLERANCE = {
    "gemm_fp32": 1e-5,
    "gemm_fp64": 1e-13,
    "gemm_bf16": 1e-2,
    "conv3d_fp32": 5e-5,
    "triad": 0.0,
}
GEMMS = {"gemm_fp32": "float32", "gemm_fp64": "float64", "gemm_bf16": "bfloat16"}


class Kernel(NamedTuple):
    """Work that is done when it returns, and how its result is read: arrays, channels first."""

    work: Callable[[], object]
    read: Callable[[object], tuple[np.ndarray, ...]]


class Part(Protocol):
    """`arithmetic_<framework>.py`."""

    def gemm(self, a: np.ndarray, b: np.ndarray, dtype: str) -> Kernel:
        """Multiply float32 or float64 matrices in a dtype."""

    def conv3d(self, image: np.ndarray, weight: np.ndarray, upstream: np.ndarray) -> Kernel:
        """Convolve: the output, and the gradients of sum(output * upstream), image's and weight's.

        Args:
            image: (samples, channels, z, y, x); zeros lie around it.
            weight: (filters, channels, 3, 3, 3).
            upstream: (samples, filters, z, y, x).
        """

    def triad(self, b: np.ndarray, c: np.ndarray, factor: float) -> Kernel:
        """Compute b + factor * c."""


def deviation(found: np.ndarray, wanted: np.ndarray) -> float:
    """Give the largest error relative to the largest element."""
    return float(np.abs(found.astype(np.float64) - wanted).max() / np.abs(wanted).max())


def timed(kernel: Kernel) -> tuple[float, tuple[np.ndarray, ...]]:
    """Give the median seconds of a kernel, and its result."""
    return median_seconds(kernel.work, REPETITIONS), kernel.read(kernel.work())


def bfloat16(array: np.ndarray) -> np.ndarray:
    """Round to the nearest float32 of 8 bits; a tie to the even one."""
    bits = array.astype(np.float32).view(np.uint32)
    odd = (bits >> 16) & 1
    return ((bits + 0x7FFF + odd) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def gemm(kernels: Part, dtype: str) -> tuple[float, float]:
    """Multiply square matrices: GFLOP/s, and the error of the first rows."""
    n, rng = GEMM_SIZE[dtype], np.random.default_rng(1)
    shown = np.float64 if dtype == "float64" else np.float32
    a, b = (rng.standard_normal((n, n)).astype(shown) for _ in range(2))
    seconds, (result,) = timed(kernels.gemm(a, b, dtype))
    if dtype == "bfloat16":
        a, b = bfloat16(a), bfloat16(b)
    # Without a matrix product, which is what is being verified.
    wanted = np.stack([(row[:, None] * b.astype(np.float64)).sum(axis=0) for row in a[:2]])
    return 2 * n**3 / seconds / 1e9, deviation(result[:2], wanted)


def shifted(array: np.ndarray) -> list[np.ndarray]:
    """Give the array moved by each offset of a 3 x 3 x 3 kernel, zeros beyond its edges."""
    padded = np.pad(array, [(0, 0)] * (array.ndim - 3) + [(1, 1)] * 3)
    side = array.shape[-1]
    return [
        padded[..., i : i + side, j : j + side, k : k + side]
        for i, j, k in product(range(3), repeat=3)
    ]


def conv3d(kernels: Part) -> tuple[float, float]:
    """Convolve forward and backward: GFLOP/s, and the worst error of output and gradients."""
    rng = np.random.default_rng(2)
    cells = (CELLS,) * 3
    image, weight, upstream = (
        rng.standard_normal(shape, np.float32)
        for shape in (
            (SAMPLES, CHANNELS, *cells),
            (FILTERS, CHANNELS, 3, 3, 3),
            (SAMPLES, FILTERS, *cells),
        )
    )
    seconds, (out, of_image, of_weight) = timed(kernels.conv3d(image, weight, upstream))
    # One sample alone tells the output and the image's gradient, two filters alone the weight's.
    exact = [array.astype(np.float64) for array in (image, weight, upstream)]
    taps = np.moveaxis(exact[1].reshape(FILTERS, CHANNELS, 27), -1, 0)
    worst = max(
        deviation(
            out[0],
            sum(np.tensordot(tap, s, 1) for tap, s in zip(taps, shifted(exact[0][0]), strict=True)),
        ),
        deviation(
            of_image[0],
            sum(
                np.tensordot(tap.T, s, 1)
                for tap, s in zip(taps[::-1], shifted(exact[2][0]), strict=True)
            ),
        ),
        deviation(
            of_weight[:2].reshape(2, CHANNELS, 27),
            np.stack(
                [np.einsum("nfzyx,nczyx->fc", exact[2][:, :2], s) for s in shifted(exact[0])],
                axis=-1,
            ),
        ),
    )
    # Forward, gradient of the image, gradient of the weight: the same work each.
    flops = 3 * 2 * SAMPLES * FILTERS * CHANNELS * 27 * CELLS**3
    return flops / seconds / 1e9, worst


def triad(kernels: Part) -> tuple[float, float]:
    """Compute a = b + 3 c: GB/s as STREAM counts (probes/roofline.c), and the error."""
    count = TRIAD_BYTES // 8
    b, c = np.full(count, 2.0), np.full(count, 0.5)
    seconds, (a,) = timed(kernels.triad(b, c, TRIAD_FACTOR))
    wanted = 2.0 + TRIAD_FACTOR * 0.5
    return 3 * TRIAD_BYTES / seconds / 1e9, float(np.abs(a - wanted).max())


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    stack_argument(parser)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    options = parser.parse_args()
    (name,) = frameworks(options.stack)
    with Emitter() as out:
        emit_ceilings(out, options.threads, "peak_fp32", "peak_fp64", "peak_bf16", "triad")
        kernels: Part = part("arithmetic", name)
        found = {
            **{name: gemm(kernels, dtype) for name, dtype in GEMMS.items()},
            "conv3d_fp32": conv3d(kernels),
            "triad": triad(kernels),
        }
        for name, (rate, _) in found.items():
            out.metric(name, rate, "GB/s" if name == "triad" else "GFLOP/s")
        out.check(
            "results_verified",
            all(error <= TOLERANCE[name] for name, (_, error) in found.items()),
            ", ".join(
                f"{name}: {error:.1e}, limit {TOLERANCE[name]:.0e}"
                for name, (_, error) in found.items()
            ),
        )


if __name__ == "__main__":
    main()
