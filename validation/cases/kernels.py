"""More of the kernels under a training step, each result verified, each against its ceiling.

Convolutions, attention and batch-norm run forward and backward. Work that computes little for each
byte is held against STREAM triad, for the bytes that an ideal kernel moves, which reads each
operand once and writes each result once; what an actual one moves beyond that is its loss. Adam
writes only what it has read, so its ceiling is `update` (probes/roofline.c).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from emit import Emitter
from timing import summary, verified_seconds
from torch import Tensor, nn

from probes import emit_ceilings

REPETITIONS = 7
GEMM_SIZE = {
    torch.bfloat16: 2048,
    torch.float16: 2048,
    torch.float32: 2048,
    torch.float64: 1536,
}
# Samples, channels in and out, pixels a side, kernel: the second stage of ResNet-50.
CONV = (4, 64, 64, 56, 3)
# Samples, channels, pixels a side: 32 MiB, beyond the caches that two cores have of their own.
DEPTHWISE = (16, 128, 64, 3)
BATCH_NORM = (16, 128, 64)
# Samples, heads, tokens, features of a head.
ATTENTION = (2, 8, 512, 64)
FFT_CELLS = 128
ADAM_PARAMETERS = 16 << 20
LEARNING_RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
NORM_EPSILON = 1e-5
FLOAT_BYTES = 4
# Of this many parameters each step of Adam is computed again, and of this many channels what comes
# of them: drawn, as a vector's lanes and a thread's last piece have places of their own.
FOLLOWED = 4096
CHECKED = 16


class Kernel(NamedTuple):
    """Work to time.

    Args:
        work: what it does each time: floating-point operations, or bytes.
        unit: GFLOP/s or GB/s.
        tolerance: the largest error that rounding explains, relative to the largest element.
        run: does it once.
        error: compares a result with a reference in higher precision.
    """

    work: float
    unit: str
    tolerance: float
    run: Callable[[], Sequence[Tensor]]
    error: Callable[[Sequence[Tensor]], float]


def deviation(found: Tensor, wanted: Tensor) -> float:
    """Give the largest error relative to the largest element; infinite where it is not finite."""
    error = float((found.double() - wanted).abs().max() / wanted.abs().max())
    return error if math.isfinite(error) else math.inf


def mixed(tensor: Tensor, dimension: int, factors: Tensor) -> Tensor:
    """Add up the slices along a dimension, each times its factor, in float64.

    What is linear in its operands takes such sums to sums: a result of which no slice is left out
    is verified by work on one (Freivalds 1977). Not by a matrix product, which is what is verified.
    """
    shape = [1] * tensor.dim()
    shape[dimension] = -1
    return (tensor.double() * factors.view(shape)).sum(dimension, keepdim=True)


def worst(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Give the largest deviation of several results."""
    return max(deviation(f, w) for f, w in zip(found, wanted, strict=True))


def gradients(
    function: Callable[..., Tensor], operands: Sequence[Tensor], upstream: Tensor
) -> list[Tensor]:
    """Give the function's value, and the gradients of sum(value * upstream)."""
    leaves = [operand.detach().requires_grad_() for operand in operands]
    value = function(*leaves)
    return [value.detach(), *torch.autograd.grad(value, leaves, upstream)]


def doubles(*tensors: Tensor) -> list[Tensor]:
    """Convert to float64."""
    return [tensor.double() for tensor in tensors]


def drawn(count: int, followed: int) -> Tensor:
    """Draw places from 0 to count - 1, some perhaps twice; the last one is always among them."""
    return torch.cat([torch.randint(count, (followed - 1,)), torch.tensor([count - 1])])


def gemm(dtype: torch.dtype, tolerance: float) -> Kernel:
    """Multiply square matrices: C x is verified for a random x, against A (B x)."""
    n = GEMM_SIZE[dtype]
    a, b = (torch.randn(n, n, dtype=torch.float64).to(dtype) for _ in range(2))
    # Whatever is not computed stays nan, also after a repetition that was right.
    result = torch.full((n, n), torch.nan, dtype=dtype)
    x = torch.randn(n, dtype=torch.float64)
    wanted = mixed(a, 1, mixed(b, 1, x).flatten())

    def error(found: Sequence[Tensor]) -> float:
        off = deviation(mixed(found[0], 1, x), wanted)
        result.fill_(torch.nan)
        return off

    return Kernel(2 * n**3, "GFLOP/s", tolerance, lambda: [torch.mm(a, b, out=result)], error)


def conv2d() -> Kernel:
    """Convolve images."""
    samples, channels, filters, pixels, width = CONV
    image = torch.randn(samples, channels, pixels, pixels)
    weight = torch.randn(filters, channels, width, width)

    def convolve(image: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv2d(image, weight, padding=width // 2)

    return convolution(convolve, image, weight, 2e-5)


def convolution(
    convolve: Callable[[Tensor, Tensor], Tensor], image: Tensor, weight: Tensor, tolerance: float
) -> Kernel:
    """Convolve forward and backward: random mixes of filters and of channels verify all of it.

    Args:
        convolve: maps an image and the filters to an output of the image's size.
        image: (samples, channels, ...).
        weight: (filters, channels, ...).
    """
    filters, channels = weight.shape[:2]
    upstream = torch.randn(len(image), filters, *image.shape[2:])
    x, y = (torch.randn(count, dtype=torch.float64) for count in (filters, channels))
    one_filter = [image.double(), mixed(weight, 0, x)]
    out, _, weight_gradient = gradients(convolve, one_filter, mixed(upstream, 1, x))
    one_channel = [mixed(image, 1, y), mixed(weight, 1, y)]
    _, image_gradient, _ = gradients(convolve, one_channel, upstream.double())
    wanted = [out, image_gradient, weight_gradient]

    def error(found: Sequence[Tensor]) -> float:
        mixes = ((1, x), (1, y), (0, x))
        return worst([mixed(f, *mix) for f, mix in zip(found, mixes, strict=True)], wanted)

    return Kernel(
        # Forward, gradient of the image, gradient of the weight: the same work each.
        3 * 2 * weight.numel() * image.numel() // channels,
        "GFLOP/s",
        tolerance,
        lambda: gradients(convolve, [image, weight], upstream),
        error,
    )


def depthwise() -> Kernel:
    """Convolve each channel by itself, so that any channel can be verified by itself."""
    samples, channels, pixels, width = DEPTHWISE
    image = torch.randn(samples, channels, pixels, pixels)
    weight = torch.randn(channels, 1, width, width)
    upstream = torch.randn_like(image)
    some = drawn(channels, CHECKED)

    def convolve(image: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv2d(image, weight, padding=width // 2, groups=len(weight))

    few = doubles(image[:, some], weight[some])
    wanted = gradients(convolve, few, upstream[:, some].double())
    return Kernel(
        # Image to output; upstream and weight to the image's gradient; image and upstream to the
        # weight's.
        6 * image.numel() * FLOAT_BYTES,
        "GB/s",
        2e-5,
        lambda: gradients(convolve, [image, weight], upstream),
        lambda found: worst([found[0][:, some], found[1][:, some], found[2][some]], wanted),
    )


def written_out_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute softmax(Q K^T / sqrt(d)) V as Vaswani et al. 2017 (arXiv:1706.03762), eq. 1."""
    scores = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).exp()
    return scores / scores.sum(dim=-1, keepdim=True) @ value


def attention() -> Kernel:
    """Attend, in every head."""
    samples, heads, tokens, features = ATTENTION
    operands = [torch.randn(samples, heads, tokens, features) for _ in range(3)]
    upstream = torch.randn_like(operands[0])
    wanted = gradients(written_out_attention, doubles(*operands), upstream.double())
    return Kernel(
        # Two matrix products forward, four backward; what is computed anew there does not count.
        6 * 2 * samples * heads * tokens**2 * features,
        "GFLOP/s",
        2e-5,
        lambda: gradients(nn.functional.scaled_dot_product_attention, operands, upstream),
        lambda found: worst(found, wanted),
    )


def written_out_norm(image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalise each channel as Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1."""
    over = (0, 2, 3)
    centred = image - image.mean(over, keepdim=True)
    scale = (centred.square().mean(over, keepdim=True) + NORM_EPSILON).sqrt()
    return centred / scale * weight[:, None, None] + bias[:, None, None]


def batch_norm() -> Kernel:
    """Normalise over the batch; each channel is by itself."""
    samples, channels, pixels = BATCH_NORM
    image = torch.randn(samples, channels, pixels, pixels)
    weight, bias = torch.randn(2, channels)
    upstream = torch.randn_like(image)
    some = drawn(channels, CHECKED)

    def normalise(image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            image, None, None, weight, bias, training=True, eps=NORM_EPSILON
        )

    few = doubles(image[:, some], weight[some], bias[some])
    wanted = gradients(written_out_norm, few, upstream[:, some].double())

    def error(found: Sequence[Tensor]) -> float:
        out, image_gradient, *others = found
        return worst([out[:, some], image_gradient[:, some], *(o[some] for o in others)], wanted)

    return Kernel(
        # The mean must be known before anything can be written: image, image to output; image and
        # upstream to the parameters' gradients, and once more to the image's.
        8 * image.numel() * FLOAT_BYTES,
        "GB/s",
        2e-5,
        lambda: gradients(normalise, [image, weight, bias], upstream),
        error,
    )


def adam() -> Kernel:
    """Step by step from zero, with Kingma and Ba 2014 (arXiv:1412.6980), algorithm 1, beside it."""
    parameters = torch.zeros(ADAM_PARAMETERS, requires_grad=True)
    parameters.grad = torch.randn(ADAM_PARAMETERS)
    optimizer = torch.optim.Adam(
        [parameters], lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, fused=True
    )
    some = drawn(ADAM_PARAMETERS, FOLLOWED)
    gradient = parameters.grad[some].double()
    wanted, first, second = torch.zeros(3, FOLLOWED, dtype=torch.float64)
    steps = 0

    def run() -> list[Tensor]:
        optimizer.step()
        return [parameters.detach()]

    def error(found: Sequence[Tensor]) -> float:
        nonlocal steps
        steps += 1
        first.mul_(BETAS[0]).add_(gradient * (1 - BETAS[0]))
        second.mul_(BETAS[1]).add_(gradient.square() * (1 - BETAS[1]))
        mean, spread = first / (1 - BETAS[0] ** steps), second / (1 - BETAS[1] ** steps)
        wanted.sub_(LEARNING_RATE * mean / (spread.sqrt() + EPSILON))
        return deviation(found[0][some], wanted)

    # Parameters, gradients and two moments read; all but the gradients written.
    return Kernel(7 * ADAM_PARAMETERS * FLOAT_BYTES, "GB/s", 1e-5, run, error)


def fft() -> Kernel:
    """Transform a real cube; NumPy, which has a library of its own for it, gives the truth."""
    cube = torch.randn(FFT_CELLS, FFT_CELLS, FFT_CELLS)
    wanted = torch.view_as_real(torch.from_numpy(np.fft.rfftn(cube.double().numpy())))
    points = FFT_CELLS**3
    return Kernel(
        # Operations of a real transform as FFTW counts: https://www.fftw.org/speed/method.html
        2.5 * points * math.log2(points),
        "GFLOP/s",
        1e-5,
        lambda: [torch.fft.rfftn(cube)],
        lambda found: deviation(torch.view_as_real(found[0]), wanted),
    )


# Rounding sums of n random terms makes an error of a few times eps * sqrt(n), relative to the
# largest; storing a result in bfloat16 (float16) one of up to 2^-8 (2^-11) of itself, to which the
# sums in float32 add little. A float32 kernel that rounds to bfloat16 or TF32 on the way is 1e-3
# off and more.
KERNELS: dict[str, Callable[[], Kernel]] = {
    "gemm_bf16": lambda: gemm(torch.bfloat16, 4e-3),
    "conv2d_fp32": conv2d,
    "depthwise_fp32": depthwise,
    "attention_fp32": attention,
    "batch_norm_fp32": batch_norm,
    "adam_fp32": adam,
    "fft_fp32": fft,
}


def has_float16() -> bool:
    """Tell whether matrix products of float16 are fast here: elsewhere torch computes them slowly.

    They are told of and verified, but no metric: a suite's metrics are the same on every machine.
    """
    return bool(
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_fp16_supported()
    )


def measure(kernel: Kernel, repetitions: int) -> tuple[list[float], float]:
    """Give the seconds of each repetition, and the largest error of all."""
    errors: list[float] = []
    seconds = verified_seconds(kernel.run, lambda r: errors.append(kernel.error(r)), repetitions)
    return seconds, max(errors)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    options = parser.parse_args()
    with Emitter() as out:
        emit_ceilings(out, options.threads, "peak_fp32", "peak_bf16", "triad", "update")
        made = dict(KERNELS)
        if has_float16():
            made["gemm_fp16"] = lambda: gemm(torch.float16, 5e-4)
        right, details = True, []
        for name, make in made.items():
            torch.manual_seed(1)
            kernel = make()
            seconds, error = measure(kernel, options.repetitions)
            rate = kernel.work / median(seconds) / 1e9
            if name in KERNELS:
                out.metric(name, rate, kernel.unit)
            out.info(name, {kernel.unit: rate, **summary(seconds), "largest error": error})
            right = right and error <= kernel.tolerance
            details.append(f"{name}: {error:.1e}, limit {kernel.tolerance:.0e}")
        out.check("results_verified", right, ", ".join(details))


if __name__ == "__main__":
    main()
