"""PyTorch's optimizers, conversions, indexing, linear algebra and transforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import operators_numpy
import torch
from limits import Error, exact
from operators_errors import error, product
from torch import Tensor

ELEMENTS, STEPS = 1003, 5
RATE, DECAY, EPSILON = 1e-2, 0.1, 1e-8
BETAS = (0.9, 0.999)
SIZES = (5, 67, 131)

State = dict[str, Tensor]


def sgd(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Sutskever et al. 2013, as PyTorch has it: Nesterov's momentum, decay added to gradients."""
    g = g + DECAY * p
    state["momentum"] = g if step == 1 else BETAS[0] * state["momentum"] + g
    return p - RATE * (g + BETAS[0] * state["momentum"])


def adam(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Kingma and Ba 2014 (arXiv:1412.6980), algorithm 1."""
    state["mean"] = BETAS[0] * state.get("mean", 0 * g) + (1 - BETAS[0]) * g
    state["square"] = BETAS[1] * state.get("square", 0 * g) + (1 - BETAS[1]) * g.square()
    mean, square = state["mean"] / (1 - BETAS[0] ** step), state["square"] / (1 - BETAS[1] ** step)
    return p - RATE * mean / (square.sqrt() + EPSILON)


def adam_decayed(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Adam with the decay added to the gradient."""
    return adam(p, g + DECAY * p, state, step)


def adamw(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Loshchilov and Hutter 2017 (arXiv:1711.05101), algorithm 2: the decay is the weights' own."""
    return adam(p, g, state, step) - RATE * DECAY * p


def adamax(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Kingma and Ba 2014, algorithm 2; PyTorch adds epsilon to the gradient's size."""
    state["mean"] = BETAS[0] * state.get("mean", 0 * g) + (1 - BETAS[0]) * g
    before = BETAS[1] * state.get("largest", 0 * g)
    state["largest"] = torch.maximum(before, g.abs() + EPSILON)
    return p - RATE / (1 - BETAS[0] ** step) * state["mean"] / state["largest"]


def rmsprop(p: Tensor, g: Tensor, state: State, step: int) -> Tensor:
    """Tieleman and Hinton 2012, lecture 6.5."""
    del step
    state["square"] = 0.99 * state.get("square", 0 * g) + 0.01 * g.square()
    return p - RATE * g / (state["square"].sqrt() + EPSILON)


Rule = Callable[[Tensor, Tensor, State, int], Tensor]
OPTIMIZERS: tuple[tuple[str, Rule, dict[str, Any]], ...] = (
    ("SGD", sgd, {"momentum": BETAS[0], "nesterov": True, "weight_decay": DECAY}),
    ("Adam", adam, {}),
    ("Adam", adam_decayed, {"weight_decay": DECAY}),
    ("AdamW", adamw, {"weight_decay": DECAY}),
    ("Adamax", adamax, {}),
    ("RMSprop", rmsprop, {}),
)
WAYS = ({}, {"foreach": True}, {"fused": True})


def small_numbers() -> Iterator[Error]:
    """Halve the smallest normal numbers, as operators_numpy.py does, by PyTorch as well."""
    yield from operators_numpy.small_numbers()
    for dtype in (torch.float32, torch.float64):
        tensor = torch.full((operators_numpy.ELEMENTS,), torch.finfo(dtype).tiny, dtype=dtype)
        yield exact(f"{dtype}", bool((tensor / 2 > 0).all()))


def optimizers() -> Iterator[Error]:
    """Step by every implementation there is of each rule, and clip gradients."""
    for name, rule, asked in OPTIMIZERS:
        for way in WAYS:
            if "fused" in way and name not in ("SGD", "Adam", "AdamW"):
                continue
            p = torch.randn(ELEMENTS, requires_grad=True)
            wanted, state = p.detach().double(), State()
            optimizer = getattr(torch.optim, name)([p], lr=RATE, **asked, **way)
            for step in range(1, STEPS + 1):
                p.grad = torch.randn(ELEMENTS)
                wanted = rule(wanted, p.grad.double(), state, step)
                optimizer.step()
            yield error(" ".join([name, *asked, *way]), p.detach(), wanted)
    leaves = [torch.randn(n, requires_grad=True) for n in (3, ELEMENTS)]
    for leaf in leaves:
        leaf.grad = torch.randn(len(leaf))
    whole = torch.cat([leaf.grad.double() for leaf in leaves if leaf.grad is not None])
    norm = torch.nn.utils.clip_grad_norm_(leaves, 1.0)
    clipped = torch.cat([leaf.grad for leaf in leaves if leaf.grad is not None])
    yield error("norm of gradients", norm, whole.square().sum().sqrt())
    yield error("clipped gradients", clipped, whole / whole.square().sum().sqrt())


def conversions() -> Iterator[Error]:
    """Round to half precision as IEEE 754 says, to the nearest and of two to the even one."""
    numbers = np.random.default_rng(1).standard_normal(ELEMENTS).astype(np.float32)
    ties = np.arange(0x3F800000, 0x3F900000, 0x800, dtype=np.uint32).view(np.float32)
    x = np.concatenate([numbers, ties, -ties, numbers * np.float32(1e-6)])
    tensor, bits = torch.from_numpy(x), x.view(np.uint32).astype(np.uint64)
    halves = torch.from_numpy(x.astype(np.float16))
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).view(np.int16)
    brains = torch.from_numpy(rounded).view(torch.bfloat16)
    for name, found, wanted in (
        ("float32 to float16", tensor.half(), halves),
        ("float32 to bfloat16", tensor.bfloat16(), brains),
        ("float16 to float32", halves.float(), torch.from_numpy(halves.numpy().astype(np.float32))),
        (
            "float32 to int32",
            (tensor * 1e6).int(),
            torch.from_numpy((x * np.float32(1e6)).astype(np.int32)),
        ),
        (
            "bfloat16 to float32",
            brains.float(),
            torch.from_numpy((rounded.view(np.uint16).astype(np.uint32) << 16).view(np.float32)),
        ),
    ):
        yield exact(name, torch.equal(found, wanted))


def indexing() -> Iterator[Error]:
    """Sort, pick and gather as NumPy does; add where places come more than once."""
    rng = np.random.default_rng(1)
    rows, columns = 131, 259
    x = rng.standard_normal((rows, columns))
    tensor, places = torch.from_numpy(x), rng.integers(0, rows, (ELEMENTS,))
    where, values = torch.from_numpy(places), rng.standard_normal((ELEMENTS, columns))
    summed = np.zeros_like(x)
    np.add.at(summed, places, values)
    columns_of_rows = rng.integers(0, columns, (rows, 7))
    scattered = np.zeros_like(x)
    np.add.at(scattered, (np.arange(rows)[:, None], columns_of_rows), x[:, :7])
    gather = torch.from_numpy(columns_of_rows)
    table = torch.zeros(rows, columns, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.embedding(where, table).mul(torch.from_numpy(values)).sum().backward()
    assert table.grad is not None
    for name, found, wanted in (
        ("sort", tensor.sort(1).values, np.sort(x, 1)),
        ("argsort", tensor.argsort(0), np.argsort(x, 0)),
        ("topk", tensor.topk(9, 1).values, -np.sort(-x, 1)[:, :9]),
        ("argmax", tensor.argmax(1), x.argmax(1)),
        ("unique", where.unique(), np.unique(places)),
        ("bincount", where.bincount(minlength=rows), np.bincount(places, minlength=rows)),
        (
            "searchsorted",
            torch.searchsorted(tensor[0].sort().values, tensor[1]),
            np.searchsorted(np.sort(x[0]), x[1]),
        ),
        ("nonzero", (tensor > 1).nonzero(), np.argwhere(x > 1)),
        ("masked_select", tensor[tensor > 1], x[x > 1]),
        ("where", torch.where(tensor > 0, tensor, -1.0), np.where(x > 0, x, -1.0)),
        ("gather", tensor.gather(1, gather), np.take_along_axis(x, columns_of_rows, 1)),
        ("index_select", tensor.index_select(0, where), x[places]),
        ("transposed copy", tensor.T.contiguous(), np.ascontiguousarray(x.T)),
        ("flip and roll", tensor.flip(0).roll(5, 1), np.roll(x[::-1], 5, 1)),
    ):
        yield exact(name, torch.equal(found, torch.from_numpy(np.ascontiguousarray(wanted))))
    for name, found, wanted in (
        ("cumsum", tensor.cumsum(1), x.cumsum(1)),
        ("sum over rows", tensor.sum(0), x.sum(0)),
        (
            "index_add",
            torch.zeros(rows, columns, dtype=torch.float64).index_add(
                0, where, torch.from_numpy(values)
            ),
            summed,
        ),
        (
            "scatter_add",
            torch.zeros(rows, columns, dtype=torch.float64).scatter_add(1, gather, tensor[:, :7]),
            scattered,
        ),
        ("embedding's gradient", table.grad, summed),
        (
            "batched product",
            torch.bmm(tensor[None, :67], tensor.T[None]),
            product(tensor[None, :67], tensor.T[None]),
        ),
        ("einsum", torch.einsum("ij,kj->ik", tensor[:67], tensor), product(tensor[:67], tensor.T)),
    ):
        yield error(name, found, torch.as_tensor(wanted))


def linear_algebra() -> Iterator[Error]:
    """Decompose and solve: what comes of it, multiplied out, is the matrix again."""
    for dtype in (torch.float32, torch.float64):
        for n in SIZES:
            a, right = torch.randn(n, n, dtype=dtype), torch.randn(n, 3, dtype=dtype)
            one = torch.eye(n, dtype=torch.float64)
            solved, inverse = torch.linalg.solve(a, right), torch.linalg.inv(a)
            u, s, vt = torch.linalg.svd(a)
            q, r = torch.linalg.qr(a)
            values, vectors = torch.linalg.eigh(a + a.T)
            definite = (product(a, a.T) + one).to(dtype)
            low = torch.linalg.cholesky(definite)
            least = torch.linalg.lstsq(a[:, : n // 2], right).solution
            left = product(a[:, : n // 2], least) - right.double()
            size, largest = float(a.abs().max()), float(s.max())
            for name, off, scale in (
                ("solve", product(a, solved) - right, size * float(solved.abs().max())),
                ("inv", product(a, inverse) - one, size * float(inverse.abs().max())),
                ("svd", product(u * s, vt) - a, largest),
                ("svd's U", product(u.T, u) - one, 1),
                ("qr", product(q, r) - a, largest),
                ("qr's Q", product(q.T, q) - one, 1),
                (
                    "eigh",
                    product(vectors * values, vectors.T) - (a + a.T),
                    float(values.abs().max()),
                ),
                ("eigh's vectors", product(vectors.T, vectors) - one, 1),
                ("cholesky", product(low, low.T) - definite, float(definite.abs().max())),
                ("lstsq", product(a[:, : n // 2].T, left), largest * float(left.abs().max())),
            ):
                value = float(off.abs().max()) / scale / n
                yield Error(
                    f"{name} of {n}, {dtype}",
                    value,
                    operators_numpy.ROUNDINGS * torch.finfo(dtype).eps,
                )


def transforms() -> Iterator[Error]:
    """Transform signals of every length up to 64, and of a large prime, as Fourier's sum says."""
    for dtype, limit in ((torch.complex64, 2e-5), (torch.complex128, 1e-13)):
        for n in (*range(1, 65), 1009):
            turns = torch.outer(torch.arange(n), torch.arange(n)) % n
            angles = turns.double() * (-2 * math.pi / n)
            x = torch.randn(n, dtype=dtype)
            terms = torch.polar(torch.ones_like(angles), angles) * x.to(torch.complex128)
            wanted = torch.view_as_real(terms.sum(1))
            found = torch.fft.fft(x)
            for name, got, want in (
                ("fft", torch.view_as_real(found), wanted),
                ("ifft", torch.view_as_real(torch.fft.ifft(found)), torch.view_as_real(x).double()),
                ("irfft", torch.fft.irfft(torch.fft.rfft(x.real), n), x.real.double()),
            ):
                value = float((got.double() - want).abs().max() / want.abs().max())
                yield Error(f"{name} of {n}, {dtype}", value, limit)
