"""How far results are from their definitions: what the checks of operators.py are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from kernels import deviation, doubles, gradients
from torch import Tensor

# Rounding of sums of some hundred random terms, relative to the largest result, is 2e-6 at most for
# float32 and 1e-15 for float64; a result that is stored in bfloat16 is off by up to 2^-8 of itself.
LIMIT = {torch.float32: 2e-5, torch.float64: 1e-13, torch.bfloat16: 2e-2}


class Error(NamedTuple):
    """A deviation, nan or infinite where the result is no number, and what rounding explains."""

    what: str
    value: float
    limit: float

    def __str__(self) -> str:
        """Tell it as a check's detail does."""
        if not self.limit:
            return f"{self.what}: {'wrong' if self.value else 'right'}"
        return f"{self.what}: error {self.value:.1e}, limit {self.limit:.0e}"


def error(what: str, found: Tensor, wanted: Tensor, dtype: torch.dtype | None = None) -> Error:
    """Compare a result with one in float64."""
    return Error(what, deviation(found, wanted), LIMIT[dtype or found.dtype])


def exact(what: str, same: bool) -> Error:
    """Say that something holds, or doesn't."""
    return Error(what, 0.0 if same else 1.0, 0.0)


def against(
    what: str,
    function: Callable[..., Tensor],
    definition: Callable[..., Tensor],
    operands: Sequence[Tensor],
    dtype: torch.dtype | None = None,
) -> list[Error]:
    """Compare a function's value, and its gradients by each operand, with its definition's.

    Args:
        definition: is given the operands in float64.
        dtype: that the function computes in, if not the operands'.
    """
    upstream = torch.randn(definition(*doubles(*operands)).shape, dtype=torch.float64)
    wanted = gradients(definition, doubles(*operands), upstream)
    value = function(*operands)
    found = gradients(function, operands, upstream.to(value.dtype))
    names = ["", *(f", gradient {number}" for number in range(1, len(found)))]
    return [
        error(f"{what}{name}", f, w, dtype) for name, f, w in zip(names, found, wanted, strict=True)
    ]


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices by adding products up, in float64, without a BLAS."""
    return (a.double()[..., :, None, :] * b.double().mT[..., None, :, :]).sum(-1)
