"""FFTW's transforms: right, by closed forms and by what any Fourier transform fulfils; and fast.

The library is the one that programs link: it is called as a program in C would, without NumPy.
"""

from __future__ import annotations

import argparse
import cmath
import ctypes
import math
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from emit import Emitter, listed
from frameworks import expected_versions
from timing import summary, verified_seconds

from probes import emit_ceilings

FORWARD, BACKWARD = -1, 1
# https://www.fftw.org/fftw3_doc/Planner-Flags.html
MEASURE, ESTIMATE = 0, 1 << 6
PLANNING_SECONDS = 10.0
# One point, all lengths that have code of their own, which a compiler may get wrong, a power of
# two, mixed radices, and a prime that Rader's algorithm takes.
LENGTHS = (*range(1, 65), 1024, 2 * 3 * 5 * 7 * 11, 1009)
# Transforms at once and the length of each, which caches hold; and cubes beyond what they hold.
BATCH = (64, 8192)
CUBE = 128
REPETITIONS = 9
# Errors grow as eps * sqrt(log2 N) for good twiddle factors (https://www.fftw.org/accuracy/); this
# many eps, for elements relative to the root mean square, leave room for the largest of millions.
ROUNDINGS = 64
# What a processor of the kind should use, by what the kernel calls it; the best first.
INSTRUCTIONS = (("avx2", "avx2"), ("avx", "avx"), ("sse2", "sse2"), ("asimd", "neon"))

Shape = Sequence[int]


class Precision(NamedTuple):
    """The transforms of one precision.

    Args:
        prefix: of the names of its functions.
        epsilon: the spacing of its numbers at one.
    """

    name: str
    prefix: str
    number: type[ctypes.c_double] | type[ctypes.c_float]
    epsilon: float


PRECISIONS = {
    "fp64": Precision("fp64", "fftw", ctypes.c_double, 2.0**-52),
    "fp32": Precision("fp32", "fftwf", ctypes.c_float, 2.0**-23),
}


class Library:
    """FFTW in one precision, under the stack's prefix."""

    def __init__(self, precision: Precision, threads: int) -> None:
        """Load it, and have it plan for so many threads."""
        self.precision = precision
        folder = Path(sys.prefix) / "lib"
        stem = f"lib{precision.prefix.replace('fftw', 'fftw3')}"
        self.files = [folder / f"{stem}.so.3", folder / f"{stem}_omp.so.3"]
        self._plain, self._omp = (
            ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL) for file in self.files
        )
        if not self._function("init_threads", ctypes.c_int, library=self._omp)():
            raise RuntimeError(f"{self.files[1]} can't start its threads")
        self._function("plan_with_nthreads", None, library=self._omp)(threads)
        self._function("set_timelimit", None)(ctypes.c_double(PLANNING_SECONDS))

    @property
    def version(self) -> str:
        """What it says that it is, such as ``fftw-3.3.10-sse2-avx-avx2``."""
        text = ctypes.c_char.in_dll(self._plain, f"{self.precision.prefix}_version")
        return ctypes.string_at(ctypes.addressof(text)).decode()

    def numbers(self, count: int) -> ctypes.Array[Any]:
        """Give room for complex numbers, aligned as its vector instructions like it."""
        allocate = self._function("malloc", ctypes.c_void_p)
        bytes_ = 2 * count * ctypes.sizeof(self.precision.number)
        place = allocate(ctypes.c_size_t(bytes_))
        if not place:
            raise MemoryError(f"{self.precision.prefix}_malloc({bytes_})")
        return (self.precision.number * (2 * count)).from_address(place)

    def plan(
        self,
        shape: Shape,
        source: ctypes.Array[Any],
        target: ctypes.Array[Any],
        sign: int,
        flags: int,
        batch: int = 1,
    ) -> Callable[[], None]:
        """Plan transforms that lie one behind the other; the data are lost by measuring.

        Raises:
            RuntimeError: FFTW has no plan.
        """
        sizes = (ctypes.c_int * len(shape))(*shape)
        count = math.prod(shape)
        layout = (*(source, None, 1, count), *(target, None, 1, count))
        wanted = (len(shape), sizes, batch, *layout, sign, ctypes.c_uint(flags))
        return self._planned("plan_many_dft", *wanted)

    def plan_real(
        self, shape: Shape, source: ctypes.Array[Any], target: ctypes.Array[Any], sign: int
    ) -> Callable[[], None]:
        """Plan a transform of real numbers to half of its spectrum, or from there back.

        Raises:
            RuntimeError: FFTW has no plan.
        """
        sizes = (ctypes.c_int * len(shape))(*shape)
        name = "plan_dft_r2c" if sign == FORWARD else "plan_dft_c2r"
        return self._planned(name, len(shape), sizes, source, target, ctypes.c_uint(ESTIMATE))

    def _planned(self, name: str, *wanted: Any) -> Callable[[], None]:
        plan = self._function(name, ctypes.c_void_p)(*wanted)
        if not plan:
            raise RuntimeError(f"no {name} for {wanted}")
        run = self._function("execute", None)
        return lambda: run(ctypes.c_void_p(plan))

    def _function(self, name: str, result: Any, library: ctypes.CDLL | None = None) -> Any:
        function = getattr(library or self._plain, f"{self.precision.prefix}_{name}")
        function.restype = result
        return function


class Geometric(NamedTuple):
    """x[n] = r^n, of which the transform is known: X[k] = (1 - r^N) / (1 - r exp(-2 pi i k/N))."""

    ratio: complex
    length: int

    def signal(self) -> list[complex]:
        """Give x; by powers, as products one after the other would add up errors."""
        return [self.ratio**n for n in range(self.length)]

    def transform(self, k: int) -> complex:
        """Give X[k]."""
        turn = cmath.exp(-2j * math.pi * k / self.length)
        return (1 - self.ratio**self.length) / (1 - self.ratio * turn)


class Work(NamedTuple):
    """Transforms of signals that are products of geometric ones along each dimension."""

    signals: Sequence[Sequence[Geometric]]
    """For each transform of the batch, one for each of its dimensions."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each transform."""
        return tuple(each.length for each in self.signals[0])

    @property
    def count(self) -> int:
        """The number of points of each transform."""
        return math.prod(self.shape)

    @property
    def operations(self) -> float:
        """Floating-point operations, as FFTW counts them: https://www.fftw.org/speed/method.html."""
        return 5 * self.count * math.log2(max(self.count, 2)) * len(self.signals)

    def signal(self) -> list[complex]:
        """Give the signals, one behind the other."""
        return [
            value for each in self.signals for value in product([axis.signal() for axis in each])
        ]

    def spectrum(self) -> list[complex]:
        """Give the transforms, by the closed form."""
        spectra = (
            product([[axis.transform(k) for k in range(axis.length)] for axis in each])
            for each in self.signals
        )
        return [value for each in spectra for value in each]


def product(axes: Sequence[Sequence[complex]]) -> list[complex]:
    """Multiply what is along each dimension; the last one runs fastest."""
    values = [1 + 0j]
    for axis in axes:
        values = [value * step for value in values for step in axis]
    return values


def error_of(found: ctypes.Array[Any], wanted: Sequence[complex]) -> float:
    """Give the largest error of complex numbers, relative to the root mean square of the wanted."""
    size = math.sqrt(math.fsum(abs(value) ** 2 for value in wanted) / len(wanted))
    there = zip(found[0::2], found[1::2], wanted)  # noqa: B905  (there may be room for more)
    return worst(abs(complex(a, b) - value) for a, b, value in there) / size


def pairs(values: Sequence[complex]) -> list[float]:
    """Give real and imaginary parts one behind the other, as C has complex numbers."""
    return [part for value in values for part in (value.real, value.imag)]


def worst(errors: Any) -> float:
    """Give the largest error; infinite where one is not finite."""
    return max((e if math.isfinite(e) else math.inf for e in errors), default=0.0)


def energy(numbers: ctypes.Array[Any]) -> float:
    """Add up the squares."""
    return math.fsum(value * value for value in numbers)


def ratios(count: int, seed: int) -> list[complex]:
    """Draw ratios of geometric signals.

    Not too near to one, where the closed form divides by little, and its own rounding would count.
    """
    drawn = random.Random(seed)  # noqa: S311  (data, not secrets)
    return [cmath.rect(drawn.uniform(0.3, 0.7), drawn.uniform(-3, 3)) for _ in range(count)]


def right(library: Library, shape: Shape) -> dict[str, float]:
    """Give the errors of a transform: against the closed form, its inverse, and Parseval's sum."""
    axes = [Geometric(r, n) for r, n in zip(ratios(len(shape), 1), shape, strict=True)]
    work, count = Work([axes]), math.prod(shape)
    signal, spectrum, back = (library.numbers(count) for _ in range(3))
    forward = library.plan(shape, signal, spectrum, FORWARD, ESTIMATE)
    backward = library.plan(shape, spectrum, back, BACKWARD, ESTIMATE)
    signal[:] = pairs(work.signal())
    forward()
    form = error_of(spectrum, work.spectrum())
    parseval = abs(energy(spectrum) / (count * energy(signal)) - 1)
    backward()
    size = math.sqrt(energy(signal) / count)
    inverse = worst(abs(a / count - b) for a, b in zip(back, signal, strict=True)) / size
    return {"closed_form": form, "inverse": inverse, "parseval": parseval}


def right_real(library: Library, shape: Shape) -> dict[str, float]:
    """Give the errors of a transform of real numbers, of which the half is kept that says all."""
    drawn = ratios(len(shape), 5)
    work = Work([[Geometric(abs(r), n) for r, n in zip(drawn, shape, strict=True)]])
    count, last = math.prod(shape), shape[-1]
    signal, spectrum, back = (library.numbers(count) for _ in range(3))
    forward = library.plan_real(shape, signal, spectrum, FORWARD)
    backward = library.plan_real(shape, spectrum, back, BACKWARD)
    wanted = [value.real for value in work.signal()]
    signal[:count] = wanted
    forward()
    half = [value for at, value in enumerate(work.spectrum()) if at % last <= last // 2]
    form = error_of(spectrum, half)
    backward()
    size = math.sqrt(math.fsum(value * value for value in wanted) / count)
    inverse = worst(abs(a / count - b) for a, b in zip(back[:count], wanted, strict=True)) / size
    return {"closed_form": form, "inverse": inverse}


def timed(library: Library, work: Work) -> tuple[list[float], float]:
    """Time transforms; the times, and the largest error of all results."""
    batch = len(work.signals)
    source, target = (library.numbers(work.count * batch) for _ in range(2))
    run = library.plan(work.shape, source, target, FORWARD, MEASURE, batch)
    source[:] = pairs(work.signal())
    size, errors = ctypes.sizeof(target), dict[bytes, float]()

    def verify(_: None) -> None:
        """Look at every element; of results that are the same bit by bit, once."""
        result = ctypes.string_at(target, size)
        if result not in errors:
            errors[result] = error_of(target, work.spectrum())
        ctypes.memset(target, 0xFF, size)  # not a number, until it is written again

    seconds = verified_seconds(run, verify, REPETITIONS)
    return seconds, max(errors.values())


def instructions(cpuinfo: str, version: str) -> tuple[bool, str]:
    """Say whether FFTW was built with the best vector instructions that the processor has."""
    flags = {
        word
        for line in cpuinfo.splitlines()
        if line.lower().startswith(("flags", "features"))
        for word in line.split()
    }
    best = next((name for flag, name in INSTRUCTIONS if flag in flags), None)
    named = version.split("-")
    return (
        best is None or best in named,
        f"{version}, and the processor has {best or 'none of them'}",
    )


def tasks() -> int:
    """Count the threads of this process, which keeps those that OpenMP started."""
    return len([*Path("/proc/self/task").iterdir()])


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", type=expected_versions, required=True)
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=[*PRECISIONS])
    options = parser.parse_args()
    names: list[str] = options.precisions
    with Emitter() as out:
        emit_ceilings(out, options.threads, *(f"peak_{name}" for name in names))
        alone = tasks()
        libraries = [Library(PRECISIONS[name], options.threads) for name in names]

        wanted = options.expect.get("fftw", "not locked")
        told = [library.version for library in libraries]
        named = [text.split("-")[1] for text in told]
        out.check("version", named == [wanted] * len(named), f"{listed(told)}; locked {wanted}")
        ok, detail = instructions(Path("/proc/cpuinfo").read_text(), told[0])
        out.check("instructions", ok, detail)

        limits = [ROUNDINGS * library.precision.epsilon for library in libraries]
        shapes: list[Shape] = [*((n,) for n in LENGTHS), (12, 10, 7)]
        found = [
            [make(library, shape) for make in (right, right_real) for shape in shapes]
            for library in libraries
        ]
        for check in ("closed_form", "inverse", "parseval"):
            errors = [max(each.get(check, 0.0) for each in every) for every in found]
            good = all(e <= limit for e, limit in zip(errors, limits, strict=True))
            out.check(
                check,
                good,
                listed(f"{e:.1e}, limit {m:.0e}" for e, m in zip(errors, limits, strict=True)),
            )

        count, length = BATCH
        works = {
            "fft_1d": Work([[Geometric(r, length)] for r in ratios(count, 3)]),
            "fft_3d": Work([[Geometric(r, CUBE) for r in ratios(3, 4)]]),
        }
        verified, details = True, []
        for name, work in works.items():
            for library, limit in zip(libraries, limits, strict=True):
                seconds, error = timed(library, work)
                metric = f"{name}_{library.precision.name}"
                out.metric(metric, work.operations / median(seconds) / 1e9, "GFLOP/s")
                out.info(metric, summary(seconds))
                verified = verified and error <= limit
                details.append(f"{metric}: {error:.1e}, limit {limit:.0e}")
        out.check("results_verified", verified, listed(details))

        threads = 1 + tasks() - alone
        out.check("thread_count", threads == options.threads, f"{threads} of {options.threads}")
        # Libraries that were linked with -ffast-math have the processor take these for zero.
        least = sys.float_info.min / 2
        out.check("small_numbers", least > 0, f"half of {sys.float_info.min} is {least}")


if __name__ == "__main__":
    main()
