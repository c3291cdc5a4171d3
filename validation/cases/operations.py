"""How many floating-point operations some work is, whatever kernels do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Counter(TorchDispatchMode):
    """Adds up matrix products and convolutions as `FlopCounterMode` does, which knows the formulas.

    That one follows modules as well, for which it hangs hooks onto tensors: derivatives within the
    forward pass, such as physics-informed networks take, then fail.
    """

    def __init__(self) -> None:
        """Begin at none."""
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and count it."""
        del types
        named = kwargs or {}
        result = function(*args, **named)
        if formula := flop_registry.get(function.overloadpacket):
            self.total += formula(*args, **named, out_val=result)
        return result


def operations(work: Callable[[], object]) -> int:
    """Do the work once, by matrix products and convolutions alone, and count them.

    oneDNN's LSTM and fused attention are kernels without a formula; and what is counted must not
    depend on which of them a stack has.
    """
    with (
        torch.backends.mkldnn.flags(enabled=False),
        sdpa_kernel(SDPBackend.MATH),
        Counter() as mode,
    ):
        work()
    return mode.total
