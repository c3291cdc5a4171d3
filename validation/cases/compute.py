"""The kernels under every training step, each against its ceiling: GEMM, 3-D convolution, triad."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

import torch
from emit import Emitter
from kernels import REPETITIONS, Kernel, convolution, gemm, measure
from torch import Tensor, nn

from probes import emit_ceilings

# Samples, channels in and out, cells a side: the second block of CosmoFlow at 64^3.
CONV = (2, 16, 32, 32)
# As large as the probe's arrays, so that both miss the caches alike.
TRIAD_BYTES = 256 << 20
TRIAD_FACTOR = 3.0


def conv3d(tolerance: float) -> Kernel:
    """Convolve cubes."""
    samples, channels, filters, cells = CONV
    image = torch.randn(samples, channels, cells, cells, cells)
    weight = torch.randn(filters, channels, 3, 3, 3)

    def convolve(image: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv3d(image, weight, padding=1)

    return convolution(convolve, image, weight, tolerance)


def triad() -> Kernel:
    """Compute a = b + 3 c, as STREAM counts (probes/roofline.c)."""
    count = TRIAD_BYTES // 8
    b = torch.full((count,), 2.0, dtype=torch.float64)
    c = torch.full((count,), 0.5, dtype=torch.float64)
    a = torch.full((count,), torch.nan, dtype=torch.float64)
    wanted = 2.0 + TRIAD_FACTOR * 0.5

    def run() -> list[Tensor]:
        return [torch.add(b, c, alpha=TRIAD_FACTOR, out=a)]

    def error(found: Sequence[Tensor]) -> float:
        off = float((torch.stack(torch.aminmax(found[0])) - wanted).abs().max())
        a.fill_(torch.nan)
        return off

    return Kernel(3 * TRIAD_BYTES, "GB/s", 0.0, run, error)


# Rounding of sums of n random terms is a few times eps * sqrt(n), relative to the largest result:
# n is some thousands in a matrix product, 65,536 in the gradient of the convolution's weight.
# bfloat16 or TF32 in place of float32 gives 1e-3 and more.
KERNELS = {
    "gemm_fp32": lambda: gemm(torch.float32, 1e-5),
    "gemm_fp64": lambda: gemm(torch.float64, 1e-13),
    "conv3d_fp32": lambda: conv3d(5e-5),
    "triad": triad,
}


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    threads: int = parser.parse_args().threads
    torch.manual_seed(1)
    with Emitter() as out:
        emit_ceilings(out, threads, "peak_fp32", "peak_fp64", "triad")
        right, details = True, []
        for name, make in KERNELS.items():
            kernel = make()
            seconds, error = measure(kernel, REPETITIONS)
            out.metric(name, kernel.work / median(seconds) / 1e9, kernel.unit)
            right = right and error <= kernel.tolerance
            details.append(f"{name}: {error:.1e}, limit {kernel.tolerance:.0e}")
        out.check("results_verified", right, ", ".join(details))


if __name__ == "__main__":
    main()
