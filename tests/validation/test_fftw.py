"""The case of FFTW: its closed forms are true, and it tells a wrong transform from a right one.

The transforms here are written out, so that none of this needs FFTW; the real one runs in the suite
`fftw`, and in tests/spack/test_real_source_build.py.
"""

from __future__ import annotations

import cmath
import ctypes
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from payload_runs import load_case_module

fftw = load_case_module("fftw")
DOUBLE = fftw.PRECISIONS["fp64"]
LIMIT = fftw.ROUNDINGS * DOUBLE.epsilon

Spectrum = list[complex]


def written_out(signal: Sequence[complex], shape: Sequence[int], sign: int) -> Spectrum:
    """The transform by its definition."""
    points = list(itertools.product(*map(range, shape)))

    def phase(k: Sequence[int], n: Sequence[int]) -> complex:
        turns = sum(a * b / size for a, b, size in zip(k, n, shape, strict=True))
        return cmath.exp(sign * 2j * math.pi * turns)

    return [sum(phase(k, n) * x for n, x in zip(points, signal, strict=True)) for k in points]


class Exact:
    """What the case asks of a library, by the definition; with a fault, if one is given."""

    precision = DOUBLE

    def __init__(self, fault: Callable[[Spectrum, int], Spectrum] = lambda out, _sign: out) -> None:
        self.fault = fault

    def numbers(self, count: int) -> ctypes.Array[Any]:
        return (ctypes.c_double * (2 * count))()

    def plan(
        self,
        shape: Sequence[int],
        source: ctypes.Array[Any],
        target: ctypes.Array[Any],
        sign: int,
        _flags: int,
        batch: int = 1,
    ) -> Callable[[], None]:
        assert batch == 1

        def run() -> None:
            signal = [complex(a, b) for a, b in zip(source[0::2], source[1::2], strict=True)]
            found = self.fault(written_out(signal, shape, sign), sign)
            target[:] = fftw.pairs(found)

        return run

    def plan_real(
        self,
        shape: Sequence[int],
        source: ctypes.Array[Any],
        target: ctypes.Array[Any],
        sign: int,
    ) -> Callable[[], None]:
        points = list(itertools.product(*map(range, shape)))
        kept = [point for point in points if point[-1] <= shape[-1] // 2]

        def there() -> None:
            signal = [complex(value) for value in source[: len(points)]]
            whole = self.fault(written_out(signal, shape, sign), sign)
            half = [value for value, k in zip(whole, points, strict=True) if k in kept]
            target[: 2 * len(half)] = fftw.pairs(half)

        def back() -> None:
            values = (complex(a, b) for a, b in zip(source[0::2], source[1::2], strict=True))
            half = dict(zip(kept, values, strict=False))
            opposite = {k: tuple(-i % n for i, n in zip(k, shape, strict=True)) for k in points}
            whole = [half[k] if k in half else half[opposite[k]].conjugate() for k in points]
            found = self.fault(written_out(whole, shape, sign), sign)
            target[: len(points)] = [value.real for value in found]

        return there if sign == fftw.FORWARD else back


@pytest.mark.parametrize("shape", [(1,), (12,), (13,), (4, 3), (3, 2, 5)])
def test_a_right_transform_is_within_rounding(shape: tuple[int, ...]) -> None:
    found = fftw.right(Exact(), shape)

    assert set(found) == {"closed_form", "inverse", "parseval"}
    assert max(found.values()) < LIMIT


@pytest.mark.parametrize("shape", [(1,), (12,), (13,), (4, 3), (3, 2, 5)])
def test_so_is_a_right_one_of_real_numbers(shape: tuple[int, ...]) -> None:
    found = fftw.right_real(Exact(), shape)

    assert set(found) == {"closed_form", "inverse"}
    assert max(found.values()) < LIMIT


@pytest.mark.parametrize("shape", [(12,), (4, 3)])
def test_the_other_half_of_a_spectrum_is_told(shape: tuple[int, ...]) -> None:
    found = fftw.right_real(Exact(other_sign), shape)

    assert min(found.values()) > LIMIT


def scaled(out: Spectrum, _sign: int) -> Spectrum:
    return [value * (1 + 1e-9) for value in out]


def other_sign(out: Spectrum, _sign: int) -> Spectrum:
    return [value.conjugate() for value in out]


def one_wrong(out: Spectrum, sign: int) -> Spectrum:
    return [*out[:-1], out[-1] * (1 + 1e-9)] if sign == fftw.FORWARD else out


def swapped(out: Spectrum, sign: int) -> Spectrum:
    return [out[1], out[0], *out[2:]] if sign == fftw.FORWARD else out


def nothing(out: Spectrum, _sign: int) -> Spectrum:
    return [complex(math.nan)] * len(out)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (scaled, {"closed_form", "inverse", "parseval"}),
        (other_sign, {"closed_form", "inverse"}),
        (one_wrong, {"closed_form", "inverse", "parseval"}),
        (swapped, {"closed_form", "inverse"}),
    ],
)
def test_a_wrong_transform_is_told(
    fault: Callable[[Spectrum, int], Spectrum], told: set[str]
) -> None:
    found = fftw.right(Exact(fault), (12,))

    assert {name for name, error in found.items() if error > LIMIT} == told


def test_what_is_no_number_is_no_small_error() -> None:
    assert fftw.right(Exact(nothing), (12,))["closed_form"] == math.inf


def test_the_timed_work_has_the_elements_that_its_closed_form_says() -> None:
    """Two transforms of two dimensions, each with signals of its own."""
    a, b, c, d = fftw.ratios(4, 7)
    work = fftw.Work(
        [[fftw.Geometric(a, 4), fftw.Geometric(b, 3)], [fftw.Geometric(c, 4), fftw.Geometric(d, 3)]]
    )
    numbers = (ctypes.c_double * (2 * 2 * work.count))()
    signal = work.signal()
    both = [
        *written_out(signal[: work.count], work.shape, fftw.FORWARD),
        *written_out(signal[work.count :], work.shape, fftw.FORWARD),
    ]
    numbers[:] = fftw.pairs(both)

    assert fftw.error_of(numbers, work.spectrum()) < LIMIT
    numbers[2 * 17] += 1e-9
    assert fftw.error_of(numbers, work.spectrum()) > LIMIT


def test_one_result_of_many_that_is_another_is_told() -> None:
    """Exchanged, so that neither their sum nor their energy shows it."""
    times = itertools.count()

    def at_the_fourth(out: Spectrum, _sign: int) -> Spectrum:
        return [out[1], out[0], *out[2:]] if next(times) == 3 else out

    work = fftw.Work([[fftw.Geometric(r, 12) for r in fftw.ratios(1, 3)]])

    assert fftw.timed(Exact(), work)[1] < LIMIT
    assert fftw.timed(Exact(at_the_fourth), work)[1] > LIMIT


def test_operations_are_counted_as_fftw_counts_them() -> None:
    work = fftw.Work([[fftw.Geometric(0.5, 1024)]] * 3)

    assert work.operations == 3 * 5 * 1024 * 10


@pytest.mark.parametrize(
    ("cpuinfo", "version", "ok"),
    [
        ("flags\t\t: fpu sse2 avx avx2", "fftw-3.3.10-sse2-avx-avx2-avx2_128", True),
        ("flags\t\t: fpu sse2 avx avx2", "fftw-3.3.10-sse2", False),
        ("flags\t\t: fpu sse2", "fftw-3.3.10-sse2", True),
        ("Features\t: fp asimd", "fftw-3.3.10-neon", True),
        ("Features\t: fp asimd", "fftw-3.3.10", False),
        ("cpu\t\t: POWER9", "fftw-3.3.10", True),
    ],
)
def test_a_build_without_the_processors_instructions_is_told(
    cpuinfo: str, version: str, ok: bool
) -> None:
    assert fftw.instructions(cpuinfo, version)[0] is ok
