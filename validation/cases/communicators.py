"""The collectives that distributed algorithms are written in, over torch.distributed or MPI.

All of them take and give tensors of one dimension, leave their argument as it is, and are called by
every rank of the communicator with the same shape and dtype.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

Operation = Literal["sum", "max"]


class Pending(Protocol):
    """A collective under way."""

    def wait(self) -> Tensor:
        """Give its result, once that is there."""


class Communicator(Protocol):
    """A group of ranks that work together; `rank` counts from 0 within the group."""

    rank: int
    size: int

    def start_allreduce(self, mine: Tensor, operation: Operation = "sum") -> Pending:
        """Begin to combine the tensors of all ranks, element by element, and return at once."""

    def reduce_scatter(self, mine: Tensor) -> Tensor:
        """Sum (size * n,) over all ranks, and keep this rank's part of the sum, (n,)."""

    def allgather(self, mine: Tensor) -> Tensor:
        """Join (n,) of all ranks in the order of ranks: (size * n,)."""

    def alltoall(self, mine: Tensor) -> Tensor:
        """Give rank r the r-th part of (size * n,); receive a part from each: (size * n,)."""

    def split(self, color: int) -> Communicator:
        """Join those who name the same color. Called by all ranks of the world, and only there."""


class TorchPending:
    """torch.distributed's handle, and the tensor that it fills."""

    def __init__(self, work: dist.Work, result: Tensor) -> None:
        """Take what an asynchronous call gave."""
        self._work, self._result = work, result

    def wait(self) -> Tensor:
        """See Pending."""
        self._work.wait()
        return self._result


class TorchCommunicator:
    """A group of torch.distributed: gloo on CPUs, NCCL on GPUs."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        """Wrap a group of which this process is a member; the default group is the world."""
        self._group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def start_allreduce(self, mine: Tensor, operation: Operation = "sum") -> Pending:
        """See Communicator."""
        result = mine.clone()
        chosen = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX}[operation]
        work = dist.all_reduce(result, op=chosen, group=self._group, async_op=True)
        return TorchPending(work, result)

    def reduce_scatter(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        parts = list(mine.view(self.size, -1))
        part = torch.empty_like(parts[0])
        dist.reduce_scatter(part, parts, group=self._group)
        return part

    def allgather(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(parts, mine, group=self._group)
        return torch.cat(parts)

    def alltoall(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        result = torch.empty_like(mine)
        dist.all_to_all_single(result, mine, group=self._group)
        return result

    def split(self, color: int) -> Communicator:
        """See Communicator."""
        colors = [0] * self.size
        dist.all_gather_object(colors, color)
        groups = [[r for r, c in enumerate(colors) if c == each] for each in sorted(set(colors))]
        mine, _ = dist.new_subgroups_by_enumeration(groups)
        return TorchCommunicator(mine)


class MpiPending:
    """An MPI request, and the buffers that must live until it is done."""

    def __init__(self, request: Any, sent: Tensor, result: Tensor) -> None:
        """Take what an immediate call gave."""
        self._request, self._sent, self._result = request, sent, result

    def wait(self) -> Tensor:
        """See Pending."""
        self._request.wait()
        return self._result


class MpiCommunicator:
    """A communicator of mpi4py, on tensors in the host's memory."""

    def __init__(self, communicator: Any = None) -> None:
        """Wrap a communicator; the world unless another is given. Importing mpi4py starts MPI."""
        from mpi4py import MPI

        self._mpi = MPI
        self._communicator = communicator or MPI.COMM_WORLD
        self.rank, self.size = self._communicator.Get_rank(), self._communicator.Get_size()

    def start_allreduce(self, mine: Tensor, operation: Operation = "sum") -> Pending:
        """See Communicator."""
        sent, result = mine.clone(), torch.empty_like(mine)
        chosen = {"sum": self._mpi.SUM, "max": self._mpi.MAX}[operation]
        request = self._communicator.Iallreduce(sent.numpy(), result.numpy(), op=chosen)
        return MpiPending(request, sent, result)

    def reduce_scatter(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        part = mine.new_empty(mine.numel() // self.size)
        self._communicator.Reduce_scatter_block(mine.numpy(), part.numpy())
        return part

    def allgather(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        result = mine.new_empty(mine.numel() * self.size)
        self._communicator.Allgather(mine.numpy(), result.numpy())
        return result

    def alltoall(self, mine: Tensor) -> Tensor:
        """See Communicator."""
        result = torch.empty_like(mine)
        self._communicator.Alltoall(mine.numpy(), result.numpy())
        return result

    def split(self, color: int) -> Communicator:
        """See Communicator."""
        return MpiCommunicator(self._communicator.Split(color, self.rank))
