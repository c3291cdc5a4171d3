"""What NumPy computes by its BLAS and LAPACK, and whether small numbers are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from limits import Error, exact

# More than one block and thread of a BLAS, and no multiple of any vector.
SIZE = 515
SIZES = (5, 67, 259)
# As LAPACK's own tests allow (the threshold in its TESTING/dtest.in): residuals of 30 roundings,
# relative to what is decomposed and n.
ROUNDINGS = 30
ELEMENTS = 1 << 20


def small_numbers() -> Iterator[Error]:
    """Halve the smallest normal numbers: a library linked with -ffast-math makes that zero.

    In one thread or in all: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=55522
    """
    yield exact("Python's float", sys.float_info.min / 2 > 0)
    for dtype in (np.float32, np.float64):
        array = np.full(ELEMENTS, np.finfo(dtype).tiny, dtype)
        yield exact(f"NumPy's {dtype.__name__}", bool((array / 2 > 0).all()))


def products() -> Iterator[Error]:
    """Multiply matrices of each layout: sums over columns, times random factors, verify all rows.

    Freivalds 1977; the factors are applied without a matrix product.
    """
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, SIZE, SIZE))
    factors = rng.standard_normal(SIZE)
    for dtype, first, second in product((np.float32, np.float64), "NT", "NT"):
        x, y = a.astype(dtype), b.astype(dtype)
        x, y = x.T if first == "T" else x, y.T if second == "T" else y
        wanted = (x.astype(np.float64) * (y.astype(np.float64) * factors).sum(1)).sum(1)
        found = (np.matmul(x, y).astype(np.float64) * factors).sum(1)
        off = float(np.abs(found - wanted).max() / np.abs(wanted).max())
        yield Error(f"{dtype.__name__} {first}{second}", off, 50 * float(np.finfo(dtype).eps))


def multiplied(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply matrices by adding products up."""
    return np.stack([(row[:, None] * b).sum(0) for row in a])


def linear_algebra(linalg: Any = np.linalg, dtype: str = "float64") -> Iterator[Error]:
    """Decompose and solve: what comes of it, multiplied out, is the matrix again.

    Args:
        linalg: has the functions of `numpy.linalg`.
        dtype: that it computes in; it is judged in float64.
    """
    rng = np.random.default_rng(1)

    def computed(name: str, *operands: np.ndarray) -> Any:
        found = getattr(linalg, name)(*(x.astype(dtype) for x in operands))
        several = isinstance(found, tuple)
        wide = [np.asarray(x).astype(float) for x in (found if several else [found])]
        return wide if several else wide[0]

    for n in SIZES:
        a, right = (rng.standard_normal((n, m)).astype(dtype).astype(float) for m in (n, 3))
        one, symmetric = np.eye(n), (a + a.T).astype(dtype).astype(float)
        solved, inverse = computed("solve", a, right), computed("inv", a)
        u, s, vt = computed("svd", a)
        q, r = computed("qr", a)
        values, vectors = computed("eigh", symmetric)
        definite = (multiplied(a, a.T) + one).astype(dtype).astype(float)
        low = computed("cholesky", definite)
        for name, found, wanted, scale in (
            ("solve", multiplied(a, solved), right, np.abs(a).max() * np.abs(solved).max()),
            ("inv", multiplied(a, inverse), one, np.abs(a).max() * np.abs(inverse).max()),
            ("svd", multiplied(u * s, vt), a, s.max()),
            ("svd's U", multiplied(u.T, u), one, 1),
            ("qr", multiplied(q, r), a, s.max()),
            ("qr's Q", multiplied(q.T, q), one, 1),
            ("eigh", multiplied(vectors * values, vectors.T), symmetric, np.abs(values).max()),
            ("eigh's vectors", multiplied(vectors.T, vectors), one, 1),
            ("cholesky", multiplied(low, low.T), definite, np.abs(definite).max()),
            ("cholesky is triangular", np.triu(low, 1), 0 * one, 1),
        ):
            off = float(np.abs(found - wanted).max() / scale / n)
            yield Error(f"{name} of {n}, {dtype}", off, ROUNDINGS * float(np.finfo(dtype).eps))
