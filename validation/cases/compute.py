"""The kernels under every training step, each against its ceiling: GEMM, 3-D convolution, triad."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
from emit import Emitter
from kernels import deviation
from timing import verified_seconds
from torch import Tensor, nn

from probes import emit_ceilings

REPETITIONS = 7
GEMM_SIZE = {torch.float32: 2048, torch.float64: 1536}
# Samples, channels in and out, cells a side: the second block of CosmoFlow at 64^3.
CONV = (2, 16, 32, 32)
# As large as the probe's arrays, so that both miss the caches alike.
TRIAD_BYTES = 256 << 20
TRIAD_FACTOR = 3.0
# Rounding of sums of n random terms is a few times eps * sqrt(n), relative to the largest result:
# n is some thousands in a matrix product, 65,536 in the gradient of the convolution's weight.
# bfloat16 or TF32 in place of float32 gives 1e-3 and more.
TOLERANCE = {"gemm_fp32": 1e-5, "gemm_fp64": 1e-13, "conv3d_fp32": 5e-5, "triad": 0.0}


def measured(
    work: float, run: Callable[[], list[Tensor]], error: Callable[[list[Tensor]], float]
) -> tuple[float, float]:
    """Give the rate in units of 1e9, and the largest error of all repetitions."""
    errors: list[float] = []
    seconds = verified_seconds(run, lambda found: errors.append(error(found)), REPETITIONS)
    # A tensor's maximum is nan if anything is.
    return work / median(seconds) / 1e9, float(torch.tensor(errors, dtype=torch.float64).max())


def gemm(dtype: torch.dtype) -> tuple[float, float]:
    """Multiply square matrices: GFLOP/s, and the error of the first rows."""
    n = GEMM_SIZE[dtype]
    a, b = (torch.randn(n, n, dtype=dtype) for _ in range(2))
    result = torch.empty(n, n, dtype=dtype)
    # Without a matrix product, which is what is being verified.
    wanted = torch.stack([(row.unsqueeze(1) * b.double()).sum(dim=0) for row in a[:2].double()])
    return measured(
        2 * n**3,
        lambda: [torch.mm(a, b, out=result)],
        lambda found: deviation(found[0][:2], wanted),
    )


def conv3d() -> tuple[float, float]:
    """Convolve forward and backward: GFLOP/s, and the worst error of output and gradients."""
    samples, channels, filters, cells = CONV
    image = torch.randn(samples, channels, cells, cells, cells, requires_grad=True)
    weight = torch.randn(filters, channels, 3, 3, 3, requires_grad=True)
    upstream = torch.randn(samples, filters, cells, cells, cells)
    # One sample alone tells the output and the image's gradient, two filters alone the weight's.
    alone = [t.detach().double() for t in (image[:1], weight, upstream[:1])]
    wanted_out, wanted_image, _ = convolve(*alone)
    few = [t.detach().double() for t in (image, weight[:2], upstream[:, :2])]
    *_, wanted_weight = convolve(*few)

    def error(found: list[Tensor]) -> float:
        out, image_gradient, weight_gradient = found
        return max(
            deviation(out[:1], wanted_out),
            deviation(image_gradient[:1], wanted_image),
            deviation(weight_gradient[:2], wanted_weight),
        )

    # Forward, gradient of the image, gradient of the weight: the same work each.
    flops = 3 * 2 * samples * filters * channels * 27 * cells**3
    return measured(flops, lambda: convolve(image, weight, upstream), error)


def convolve(image: Tensor, weight: Tensor, upstream: Tensor) -> list[Tensor]:
    """Give the output, and the gradients of sum(output * upstream): image's and weight's."""
    image.requires_grad_()
    weight.requires_grad_()
    out = nn.functional.conv3d(image, weight, padding=1)
    return [out.detach(), *torch.autograd.grad(out, (image, weight), upstream)]


def triad() -> tuple[float, float]:
    """Compute a = b + 3 c: GB/s as STREAM counts (probes/roofline.c), and the error."""
    count = TRIAD_BYTES // 8
    a, b, c = (torch.empty(count, dtype=torch.float64) for _ in range(3))
    b.fill_(2.0)
    c.fill_(0.5)
    wanted = 2.0 + TRIAD_FACTOR * 0.5

    def run() -> list[Tensor]:
        return [torch.add(b, c, alpha=TRIAD_FACTOR, out=a)]

    def error(found: list[Tensor]) -> float:
        return max(abs(float(extreme) - wanted) for extreme in torch.aminmax(found[0]))

    return measured(3 * TRIAD_BYTES, run, error)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    threads: int = parser.parse_args().threads
    torch.manual_seed(1)
    with Emitter() as out:
        emit_ceilings(out, threads, "peak_fp32", "peak_fp64", "triad")
        found = {
            "gemm_fp32": gemm(torch.float32),
            "gemm_fp64": gemm(torch.float64),
            "conv3d_fp32": conv3d(),
            "triad": triad(),
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
