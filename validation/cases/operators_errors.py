"""How far results are from their definitions: what the checks of operators.py are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from kernels import deviation, doubles, gradients
from limits import LIMITS, Error
from torch import Tensor


def error(what: str, found: Tensor, wanted: Tensor, dtype: torch.dtype | None = None) -> Error:
    """Compare a result with one in float64."""
    return Error(
        what, deviation(found, wanted), LIMITS[str(dtype or found.dtype).removeprefix("torch.")]
    )


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
