"""The network of branches.py, trained by DistributedDataParallel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from branches import CHANNELS, EPSILON, HIDDEN, Arrays, batch_of
from emit import Emitter
from gradients import MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, rates, share
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from world import gloo


class Branches(nn.Module):
    """Two heads, of which a batch may use only the first."""

    def __init__(self) -> None:
        """Build the network."""
        super().__init__()
        self.convolution = nn.Conv1d(1, CHANNELS, 3, padding=1)
        self.norm = nn.LayerNorm(HIDDEN, eps=EPSILON)
        self.first = nn.Linear(HIDDEN, 1)
        self.second = nn.Linear(HIDDEN, 1)

    def forward(self, batch: Tensor, use_second: bool) -> Tensor:
        """Map (samples, FEATURES) to (samples,)."""
        hidden = self.norm(torch.tanh(self.convolution(batch[:, None])).flatten(1))
        result: Tensor = self.first(hidden)
        return (result + self.second(hidden) if use_second else result).flatten()

    def named(self) -> dict[str, nn.Parameter]:
        """Give the parameters by the names of branches.py."""
        return {
            "kernel": self.convolution.weight,
            "bias": self.convolution.bias,
            "scale": self.norm.weight,
            "shift": self.norm.bias,
            "first": self.first.weight,
            "first_bias": self.first.bias,
            "second": self.second.weight,
            "second_bias": self.second.bias,
        }


def make_model(dtype: torch.dtype) -> Branches:
    """Make the same model on every rank and every call."""
    torch.manual_seed(SEED)
    return Branches().to(dtype)


def arrays(tensors: dict[str, Tensor]) -> Arrays:
    """Copy tensors."""
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


class Ddp:
    """Training by DDP; see `gradients.Trainer`."""

    rate_in_velocity = False

    def __init__(self, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._rank, self._world = out.rank, out.world
        whole = batch_of(SAMPLES_PER_RANK * out.world)
        self._shard = [torch.from_numpy(share(array, out.rank)) for array in whole]

    def initial(self, dtype: str) -> Arrays:
        """See Trainer."""
        return arrays(dict(make_model(getattr(torch, dtype)).named()))

    def gradients(self, dtype: str, *, partly: bool = False, micro_batches: int = 1) -> Arrays:
        """See Trainer."""
        exact = getattr(torch, dtype)
        model = make_model(exact)
        ddp = DistributedDataParallel(model, find_unused_parameters=partly)
        batch, target = (tensor.to(exact) for tensor in self._shard)
        pairs = list(zip(batch.chunk(micro_batches), target.chunk(micro_batches), strict=True))
        use_second = self._rank % 2 == 0 if partly else True
        for index, (inputs, wanted) in enumerate(pairs):
            last = index == len(pairs) - 1
            with nullcontext() if last else ddp.no_sync():
                loss = nn.functional.mse_loss(ddp(inputs, use_second), wanted)
                (loss / micro_batches).backward()
        found = model.named().items()
        return arrays({n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in found})

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer."""
        exact, wanted = getattr(torch, dtype), rates(self._world)
        model = make_model(exact)
        ddp = DistributedDataParallel(model)
        batch, target = (tensor.to(exact) for tensor in self._shard)
        optimizer = torch.optim.SGD(ddp.parameters(), lr=1.0, momentum=MOMENTUM)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: wanted[min(step, STEPS - 1)]
        )
        used = []
        for _ in range(STEPS):
            used.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.zero_grad()
            nn.functional.mse_loss(ddp(batch, True), target).backward()
            optimizer.step()
            schedule.step()
        return arrays(dict(model.named())), used

    def shard(self, count: int) -> list[int]:
        """See Trainer."""
        sampler = DistributedSampler(
            list(range(count)), self._world, self._rank, shuffle=True, seed=3
        )
        sampler.set_epoch(1)
        return list(sampler)


@contextmanager
def trainer(out: Emitter) -> Iterator[Ddp]:
    """Join all ranks by gloo."""
    torch.use_deterministic_algorithms(True)
    with gloo(out):
        yield Ddp(out)
