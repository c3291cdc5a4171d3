"""The kernels under every training step, each against its ceiling: GEMM, 3-D convolution, triad."""

from __future__ import annotations

import argparse

import torch
from emit import Emitter
from timing import median_seconds
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


def deviation(found: Tensor, wanted: Tensor) -> float:
    """Give the largest error relative to the largest element."""
    return float((found.double() - wanted).abs().max() / wanted.abs().max())


def gemm(dtype: torch.dtype) -> tuple[float, float]:
    """Multiply square matrices: GFLOP/s, and the error of the first rows."""
    n = GEMM_SIZE[dtype]
    a, b = (torch.randn(n, n, dtype=dtype) for _ in range(2))
    result = torch.empty(n, n, dtype=dtype)
    seconds = median_seconds(lambda: torch.mm(a, b, out=result), REPETITIONS)
    # Without a matrix product, which is what is being verified.
    wanted = torch.stack([(row.unsqueeze(1) * b.double()).sum(dim=0) for row in a[:2].double()])
    return 2 * n**3 / seconds / 1e9, deviation(result[:2], wanted)


def conv3d() -> tuple[float, float]:
    """Convolve forward and backward: GFLOP/s, and the worst error of output and gradients."""
    samples, channels, filters, cells = CONV
    image = torch.randn(samples, channels, cells, cells, cells, requires_grad=True)
    weight = torch.randn(filters, channels, 3, 3, 3, requires_grad=True)
    upstream = torch.randn(samples, filters, cells, cells, cells)

    def step() -> list[Tensor]:
        return convolve(image, weight, upstream)

    seconds = median_seconds(step, REPETITIONS)
    # One sample alone tells the output and the image's gradient, two filters alone the weight's.
    out, image_gradient, weight_gradient = step()
    alone = [t.detach().double() for t in (image[:1], weight, upstream[:1])]
    wanted_out, wanted_image, _ = convolve(*alone)
    few = [t.detach().double() for t in (image, weight[:2], upstream[:, :2])]
    _, _, wanted_weight = convolve(*few)
    worst = max(
        deviation(out[:1], wanted_out),
        deviation(image_gradient[:1], wanted_image),
        deviation(weight_gradient[:2], wanted_weight),
    )
    # Forward, gradient of the image, gradient of the weight: the same work each.
    flops = 3 * 2 * samples * filters * channels * 27 * cells**3
    return flops / seconds / 1e9, worst


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
    seconds = median_seconds(lambda: torch.add(b, c, alpha=TRIAD_FACTOR, out=a), REPETITIONS)
    wanted = 2.0 + TRIAD_FACTOR * 0.5
    return 3 * TRIAD_BYTES / seconds / 1e9, max(
        abs(float(extreme) - wanted) for extreme in torch.aminmax(a)
    )


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
