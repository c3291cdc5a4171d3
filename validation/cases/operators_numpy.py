"""What NumPy computes by its BLAS and LAPACK, and whether small numbers are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from operators_errors import Error, exact

# More than one block and thread of a BLAS, and no multiple of any vector.
SIZE = 515
SIZES = (5, 67, 259)
# As LAPACK's own tests allow: residuals of 30 roundings, relative to what is decomposed and n.
# https://www.netlib.org/lapack/lug/node72.html
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
    for kind in (torch.float32, torch.float64):
        tensor = torch.full((ELEMENTS,), torch.finfo(kind).tiny, dtype=kind)
        yield exact(f"{kind}", bool((tensor / 2 > 0).all()))


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


def linear_algebra() -> Iterator[Error]:
    """Decompose and solve: what comes of it, multiplied out, is the matrix again."""
    rng = np.random.default_rng(1)
    for n in SIZES:
        a, one = rng.standard_normal((n, n)), np.eye(n)
        right = rng.standard_normal((n, 3))
        solved, inverse = np.linalg.solve(a, right), np.linalg.inv(a)
        u, s, vt = np.linalg.svd(a)
        q, r = np.linalg.qr(a)
        values, vectors = np.linalg.eigh(a + a.T)
        definite = multiplied(a, a.T) + one
        low = np.linalg.cholesky(definite)
        for name, found, wanted, scale in (
            ("solve", multiplied(a, solved), right, np.abs(a).max() * np.abs(solved).max()),
            ("inv", multiplied(a, inverse), one, np.abs(a).max() * np.abs(inverse).max()),
            ("svd", multiplied(u * s, vt), a, s.max()),
            ("svd's U", multiplied(u.T, u), one, 1),
            ("qr", multiplied(q, r), a, s.max()),
            ("qr's Q", multiplied(q.T, q), one, 1),
            ("eigh", multiplied(vectors * values, vectors.T), a + a.T, np.abs(values).max()),
            ("eigh's vectors", multiplied(vectors.T, vectors), one, 1),
            ("cholesky", multiplied(low, low.T), definite, np.abs(definite).max()),
            ("cholesky is triangular", np.triu(low, 1), 0 * one, 1),
        ):
            off = float(np.abs(found - wanted).max() / scale / n)
            yield Error(f"{name} of {n}", off, ROUNDINGS * float(np.finfo(np.float64).eps))
