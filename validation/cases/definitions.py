"""What networks of TensorFlow and JAX are made of, each operation against its definition.

Values in float32 and float64 are compared with NumPy's; gradients in float64 with slopes of the
definition along a random direction for each operand, and those in float32 with those in float64.
Sizes leave a rest in every vector, block and thread. PyTorch has `operators.py`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import operators_numpy
from definitions_numpy import Operation, operations
from emit import Emitter
from frameworks import part
from limits import LIMITS, Error, exact, judged

# Central differences: the step squared and rounding over the step, of sums of some thousand terms.
STEP, SLOPES = 1e-5, 1e-6
ELEMENTS, DROPPED = 1 << 20, 0.25
LENGTHS = (*range(1, 10), 11, 13, 16, 25, 27, 49, 60, 64, 101, 1009)

Arrays = tuple[np.ndarray, ...]


class Part(Protocol):
    """`definitions_<framework>.py`; Keras's has `fit` as well: samples, labels, batch, rate."""

    FUNCTIONS: dict[str, Callable]
    """By the names of `definitions_numpy.operations`, of the framework's own arrays."""
    IN_FLOAT32: tuple[str, ...]
    """Those of them that compute in float32 whatever they are given."""
    LINALG: Any
    """Has the functions of `numpy.linalg` that `operators_numpy.linear_algebra` asks for."""
    FFT: Any
    """Has `fft`, `ifft`, `rfft` and `irfft`, as `numpy.fft` has."""

    def value(self, function: Callable, operands: Arrays) -> np.ndarray:
        """Apply a function."""

    def gradients(self, function: Callable, operands: Arrays, upstream: np.ndarray) -> Arrays:
        """Give the gradients of the sum of value times upstream, by operands that are floats."""

    def dropout(self, ones: np.ndarray, rate: float) -> Arrays:
        """Give what dropout leaves in training, its gradient, and what in evaluation."""

    def drawn(self, seed: int, count: int) -> Arrays:
        """Draw numbers: normal ones, and uniform ones from 0 to 1."""


def floats(operands: Arrays, dtype: str) -> Arrays:
    """Round operands to a dtype; integers stay what they are."""
    return tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in operands)


def relative(off: float, whole: float) -> float:
    """Divide an error by what it is of; of nothing it is infinite."""
    return off / whole if whole else math.inf


def far(found: np.ndarray, wanted: np.ndarray) -> float:
    """Give the largest error relative to the largest element; infinite if the shape is another."""
    if found.shape != wanted.shape:
        return math.inf
    return relative(float(np.abs(found.astype(float) - wanted).max()), float(np.abs(wanted).max()))


def slope(operation: Operation, number: int, way: np.ndarray, upstream: np.ndarray) -> float:
    """Differentiate the definition by an operand along a direction."""
    sides = []
    for sign in (1, -1):
        moved = list(operation.operands)
        moved[number] = moved[number] + sign * STEP * way
        sides.append(float((operation.define(*moved) * upstream).sum()))
    return (sides[0] - sides[1]) / (2 * STEP)


def compared(part: Part, name: str, operation: Operation) -> Iterator[Error]:
    """Compare an operation's values, and its gradients if it has any."""
    limits = dict(LIMITS)
    if operation.bfloat16:
        limits = dict.fromkeys(limits, limits["bfloat16"])
    elif name in part.IN_FLOAT32:
        limits["float64"] = limits["float32"]
    for dtype in ("float32", "float64"):
        operands = floats(operation.operands, dtype)
        wanted = operation.define(*floats(operands, "float64"))
        found = part.value(part.FUNCTIONS[name], operands)
        if wanted.dtype.kind != "f":
            yield exact(f"{name}, {dtype}", np.array_equal(found, wanted))
        else:
            yield Error(f"{name}, {dtype}", far(found, wanted), limits[dtype])
    if wanted.dtype.kind == "f" and operation.smooth:
        upstream = np.random.default_rng(2).standard_normal(wanted.shape)
        yield from graded(part, name, operation, upstream, limits)


def graded(
    part: Part, name: str, operation: Operation, upstream: np.ndarray, limits: dict[str, float]
) -> Iterator[Error]:
    """Compare an operation's gradients, by each operand that has one."""
    rng = np.random.default_rng(3)
    double, single = (
        part.gradients(
            part.FUNCTIONS[name], floats(operation.operands, dtype), upstream.astype(dtype)
        )
        for dtype in ("float64", "float32")
    )
    numbers = [number for number, x in enumerate(operation.operands) if x.dtype.kind == "f"]
    for number, wide, found in zip(numbers, double, single, strict=True):
        way = rng.standard_normal(wide.shape)
        along = wide * way
        off = abs(float(along.sum()) - slope(operation, number, way, upstream))
        what = f"{name}, gradient {number + 1}"
        size = math.sqrt(float((along**2).sum()))
        yield Error(f"{what}, float64", relative(off, size), max(SLOPES, limits["float64"]))
        yield Error(f"{what}, float32", far(found, wide), limits["float32"])


def dropout(part: Part) -> Iterator[Error]:
    """Drop as many as asked, scale the rest, and drop nothing in evaluation."""
    ones = np.ones(ELEMENTS, np.float32)
    out, gradient, evaluated = part.dropout(ones, DROPPED)
    kept = np.float32(1 / (1 - DROPPED))
    yield exact("all are zero or scaled", bool(((out == 0) | (out == kept)).all()))
    # Binomial; beyond six standard deviations by chance once in 5e8, and the seed is fixed.
    spread = math.sqrt(ELEMENTS * DROPPED * (1 - DROPPED))
    off = abs(int((out == 0).sum()) - ELEMENTS * DROPPED) / spread
    yield Error("dropped, in standard deviations", off, 6.0)
    yield exact("its gradient is dropped alike", np.array_equal(gradient, out))
    yield exact("evaluated, it drops nothing", np.array_equal(evaluated, ones))


def random(part: Part) -> Iterator[Error]:
    """Draw by seeds: moments within six standard deviations, as they are in the mean of so many."""
    first, again, other = (part.drawn(seed, ELEMENTS) for seed in (1, 1, 2))
    normal, uniform = (x.astype(float) for x in first)
    root = math.sqrt(ELEMENTS)
    yield exact("a seed gives the same", all(map(np.array_equal, first, again)))
    yield exact("another seed gives others", not any(map(np.array_equal, first, other)))
    yield exact("from 0 to 1", bool((uniform >= 0).all() and (uniform < 1).all()))
    for what, found, wanted, spread in (
        ("mean of normal numbers", normal.mean(), 0, 1),
        ("variance of normal numbers", (normal**2).mean(), 1, math.sqrt(2)),
        ("fourth moment of normal numbers", (normal**4).mean(), 3, math.sqrt(96)),
        ("neighbours", (normal[1:] * normal[:-1]).mean(), 0, 1),
        ("mean of uniform numbers", uniform.mean(), 1 / 2, math.sqrt(1 / 12)),
        (
            "variance of uniform numbers",
            ((uniform - 1 / 2) ** 2).mean(),
            1 / 12,
            math.sqrt(1 / 180),
        ),
    ):
        yield Error(f"{what}, in standard deviations", abs(found - wanted) * root / spread, 6.0)


def fits(part: Part) -> Iterator[Error]:
    """Fit a line by what the framework has for it, against its steps written out."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((117, 5)), rng.standard_normal((117, 1))
    batch, rate, weights = 16, 0.05, np.zeros((5, 1))
    for start in range(0, len(x), batch):
        a, b = x[start : start + batch], y[start : start + batch]
        weights = weights - rate * 2 * np.einsum("nf,ng->fg", a, a @ weights - b) / len(a)
    found = part.fit(x.astype(np.float32), y.astype(np.float32), batch, rate)
    yield Error("weights after an epoch", far(found, weights), LIMITS["float32"])


def transforms(part: Part) -> Iterator[Error]:
    """Transform signals of many lengths, a large prime among them, as Fourier's sum says."""
    rng, fft = np.random.default_rng(3), part.FFT
    for n in LENGTHS:
        turns = np.exp(-2j * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n)
        x = (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64)
        real, wanted = x.real.copy(), (turns * x).sum(axis=1)
        half = (turns * real).sum(axis=1)[: n // 2 + 1]
        for name, found, truth in (
            ("fft", fft.fft(x), wanted),
            ("ifft", fft.ifft(wanted.astype(np.complex64)), x),
            ("rfft", fft.rfft(real), half),
            ("irfft", fft.irfft(half.astype(np.complex64), n), real),
        ):
            off = float(np.abs(found - truth).max() / np.abs(truth).max())
            yield Error(f"{name} of {n}", off, LIMITS["float32"])


def checks(part: Part) -> dict[str, Callable[[], Iterator[Error]]]:
    """Name what is compared, by check."""
    by_check: dict[str, list[tuple[str, Operation]]] = {}
    for name, operation in operations().items():
        by_check.setdefault(operation.check, []).append((name, operation))

    def of(named: list[tuple[str, Operation]]) -> Callable[[], Iterator[Error]]:
        return lambda: (error for pair in named for error in compared(part, *pair))

    return {
        "small_numbers": operators_numpy.small_numbers,
        "numpy_products": operators_numpy.products,
        "numpy_linear_algebra": operators_numpy.linear_algebra,
        **{check: of(named) for check, named in by_check.items()},
        "dropout": lambda: dropout(part),
        "random": lambda: random(part),
        **({"fit": lambda: fits(part)} if hasattr(part, "fit") else {}),
        "linear_algebra": lambda: (
            error
            for dtype in ("float32", "float64")
            for error in operators_numpy.linear_algebra(part.LINALG, dtype)
        ),
        "transforms": lambda: transforms(part),
    }


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=["tensorflow", "jax"], required=True)
    framework = parser.parse_args().framework
    with Emitter() as out:
        for name, check in checks(part("definitions", framework)).items():
            out.check(name, *judged(check()))


if __name__ == "__main__":
    main()
