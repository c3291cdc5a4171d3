"""What PyTorch's users switch on in Horovod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from frameworks import Findings
from horovod_options_numpy import (
    ROWS,
    WIDTH,
    Arrays,
    Ways,
    adasum,
    check_close,
    check_equal,
    drawn,
    total,
)
from torch import Tensor, nn


class OfTorch:
    """See `horovod_options.Options`.

    Parameters begin at zero, and SGD at rate 1 takes off them the gradients by which it steps.
    """

    def __init__(self, horovod: Any) -> None:
        """Take Horovod's module."""
        self.collectives = horovod

    def tensor(self, array: np.ndarray) -> Tensor:
        """See Options."""
        return torch.from_numpy(array.copy())

    def stepped(self, mine: Arrays, together: Sequence[int] = (), **options: Any) -> Ways:
        """See Options."""
        model = zeros(mine)
        if together:
            options["groups"] = [[model[index] for index in together]]
        self._step(model, self._optimizer(model, **options), mine)
        return {"optimizer": taken_off(model)}

    def looked_up(self, rows: np.ndarray, mine: np.ndarray, **options: Any) -> Ways:
        """See Options."""
        table = nn.Embedding(ROWS, WIDTH, sparse=True)
        nn.init.zeros_(table.weight)
        optimizer = self._optimizer(table, **options)
        (table(self.tensor(rows)) * self.tensor(mine)).sum().backward()
        optimizer.step()
        return {"optimizer": taken_off(table)}

    def check_own(self, found: Findings, rank: int, world: int) -> None:
        """See Options: Adasum of steps, and ranks of which each has a batch more than the last.

        A rank without a batch counts as zero.
        """
        ranks = range(world)
        ways = self.stepped(drawn(rank), op=self.collectives.Adasum)
        steps = [adasum(each) for each in zip(*map(drawn, ranks), strict=True)]
        check_close(found, "adasum_gradients", ways, steps, "float32")

        model = zeros(drawn(rank))
        optimizer = self._optimizer(model)
        for batch in range(rank + 1):
            self._step(model, optimizer, drawn(rank, batch))
        last = self.collectives.join()
        self.collectives.broadcast_parameters(model.state_dict(), root_rank=last)
        every = total([drawn(other, batch) for other in ranks for batch in range(other + 1)])
        ways = {f"as rank {last}, the last, has it,": taken_off(model)}
        check_equal(found, "join", ways, [each / world for each in every])

    def _optimizer(self, model: nn.Module, **options: Any) -> Any:
        plain = torch.optim.SGD(model.parameters(), lr=1.0)
        return self.collectives.DistributedOptimizer(
            plain, named_parameters=model.named_parameters(), **options
        )

    def _step(self, model: nn.ParameterList, optimizer: Any, mine: Arrays) -> None:
        optimizer.zero_grad()
        for parameter, slope in zip(model, mine, strict=True):
            (parameter * self.tensor(slope)).sum().backward()
        optimizer.step()


def zeros(like: Arrays) -> nn.ParameterList:
    """Make a parameter of zeros for each array."""
    return nn.ParameterList([torch.zeros(one.shape) for one in like])


def taken_off(model: nn.Module) -> list[np.ndarray]:
    """Give what was taken off the parameters."""
    return [-parameter.detach().numpy() for parameter in model.parameters()]


def options(horovod: Any) -> OfTorch:
    """Begin."""
    return OfTorch(horovod)
