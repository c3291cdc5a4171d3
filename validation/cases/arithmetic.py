"""The kernels under every training step, by any framework: GEMM, 3-D convolution, triad.

Each is held against the machine's ceiling, and against NumPy in float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from statistics import median
from typing import NamedTuple, Protocol

import numpy as np
from emit import Emitter
from frameworks import frameworks, part, stack_argument
from timing import verified_seconds

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
    """Give the largest error relative to the largest element; nan, within no limit, if one is."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def mixed(array: np.ndarray, axis: int, factors: np.ndarray) -> np.ndarray:
    """Add up the slices along an axis, each times its factor, in float64.

    What is linear in its operands takes such sums to sums: a result of which no slice is left out
    is verified by work on one (Freivalds 1977). Not by a matrix product, which is what is verified.
    """
    shape = [1] * array.ndim
    shape[axis] = -1
    found: np.ndarray = (array.astype(np.float64) * factors.reshape(shape)).sum(axis)
    return found


def timed(kernel: Kernel, error: Callable[..., float]) -> tuple[float, float]:
    """Give the median seconds of a kernel, and the largest error of all its results."""
    errors: list[float] = []
    seconds = verified_seconds(
        kernel.work, lambda found: errors.append(error(*kernel.read(found))), REPETITIONS
    )
    return median(seconds), float(np.max(errors))


def bfloat16(array: np.ndarray) -> np.ndarray:
    """Round to the nearest float32 of 8 bits; a tie to the even one."""
    bits = array.astype(np.float32).view(np.uint32)
    odd = (bits >> 16) & 1
    return ((bits + 0x7FFF + odd) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def gemm(kernels: Part, dtype: str) -> tuple[float, float]:
    """Multiply square matrices: GFLOP/s, and the error of C x against A (B x) for a random x."""
    n, rng = GEMM_SIZE[dtype], np.random.default_rng(1)
    shown = np.float64 if dtype == "float64" else np.float32
    a, b = (rng.standard_normal((n, n)).astype(shown) for _ in range(2))
    kernel = kernels.gemm(a, b, dtype)
    if dtype == "bfloat16":
        a, b = bfloat16(a), bfloat16(b)
    x = rng.standard_normal(n)
    wanted = mixed(a, 1, mixed(b, 1, x))
    seconds, error = timed(kernel, lambda result: deviation(mixed(result, 1, x), wanted))
    return 2 * n**3 / seconds / 1e9, error


def taps(weight: np.ndarray) -> np.ndarray:
    """Give what a kernel (channels, 3, 3, 3) has at each offset."""
    return weight.reshape(len(weight), 27).T


def shifted(array: np.ndarray) -> list[np.ndarray]:
    """Give the array moved by each offset of a 3 x 3 x 3 kernel, zeros beyond its edges."""
    padded = np.pad(array.astype(np.float64), [(0, 0)] * (array.ndim - 3) + [(1, 1)] * 3)
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
    # A random mix of filters verifies output and weight's gradient, one of channels the image's.
    x, y = rng.standard_normal(FILTERS), rng.standard_normal(CHANNELS)
    wanted_out = sum(
        np.tensordot(s, tap, (1, 0))
        for tap, s in zip(taps(mixed(weight, 0, x)), shifted(image), strict=True)
    )
    wanted_image = sum(
        np.tensordot(s, tap, (1, 0))
        for tap, s in zip(taps(mixed(weight, 1, y))[::-1], shifted(upstream), strict=True)
    )
    up = mixed(upstream, 1, x)
    wanted_weight = np.stack([np.einsum("nzyx,nczyx->c", up, s) for s in shifted(image)], axis=-1)

    def error(out: np.ndarray, of_image: np.ndarray, of_weight: np.ndarray) -> float:
        found = (mixed(out, 1, x), mixed(of_image, 1, y), mixed(of_weight, 0, x))
        wanted = (wanted_out, wanted_image, wanted_weight.reshape(CHANNELS, 3, 3, 3))
        return float(np.max([deviation(f, w) for f, w in zip(found, wanted, strict=True)]))

    seconds, worst = timed(kernels.conv3d(image, weight, upstream), error)
    # Forward, gradient of the image, gradient of the weight: the same work each.
    flops = 3 * 2 * SAMPLES * FILTERS * CHANNELS * 27 * CELLS**3
    return flops / seconds / 1e9, worst


def triad(kernels: Part) -> tuple[float, float]:
    """Compute a = b + 3 c: GB/s as STREAM counts (probes/roofline.c), and the error."""
    count = TRIAD_BYTES // 8
    b, c = np.full(count, 2.0), np.full(count, 0.5)
    wanted = 2.0 + TRIAD_FACTOR * 0.5
    kernel = kernels.triad(b, c, TRIAD_FACTOR)
    # By its extremes, each of which is nan if anything is: no other array of that size is made.
    seconds, error = timed(
        kernel, lambda a: float(np.abs([a.min() - wanted, a.max() - wanted]).max())
    )
    return 3 * TRIAD_BYTES / seconds / 1e9, error


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
