"""The network of branches.py, trained by DistributedDataParallel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from branches import CHANNELS, EPSILON, FEATURES, HIDDEN, Arrays, batch_of
from emit import Emitter
from gradients import EPOCHS, MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, own_seed, rates, share
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from world import gloo


class Branches(nn.Module):
    """Two heads, of which a batch may use only the first."""

    def __init__(self, channels: int) -> None:
        """Build the network."""
        super().__init__()
        hidden = channels * FEATURES
        self.convolution = nn.Conv1d(1, channels, 3, padding=1)
        self.norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.first = nn.Linear(hidden, 1)
        self.second = nn.Linear(hidden, 1)

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


def make_model(dtype: torch.dtype, channels: int = CHANNELS) -> Branches:
    """Make the same model on every rank and every call."""
    torch.manual_seed(SEED)
    return Branches(channels).to(dtype)


def arrays(tensors: dict[str, Tensor]) -> Arrays:
    """Copy tensors."""
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


class OnShard:
    """What training on a rank's shard of the batch has in common, whoever averages."""

    rate_in_velocity = False
    uneven = True

    def __init__(self, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._rank, self._world = out.rank, out.world
        whole = batch_of(SAMPLES_PER_RANK * out.world)
        self._shard = [torch.from_numpy(share(array, out.rank)) for array in whole]

    def initial(self, dtype: str, channels: int = CHANNELS) -> Arrays:
        """See Trainer."""
        return arrays(dict(make_model(getattr(torch, dtype), channels).named()))

    def shards(self, count: int) -> list[list[int]]:
        """See Trainer."""
        sampler = DistributedSampler(
            list(range(count)), self._world, self._rank, shuffle=True, seed=3
        )
        epochs = []
        for epoch in range(EPOCHS):
            sampler.set_epoch(epoch)
            epochs.append(list(sampler))
        return epochs


class Ddp(OnShard):
    """Training by DDP; see `gradients.Trainer`."""

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """See Trainer. Of the second of two passes: after the first DDP makes its buckets anew."""
        exact = getattr(torch, dtype)
        model = make_model(exact, channels)
        ddp = DistributedDataParallel(model, find_unused_parameters=partly)
        batch, target = (tensor.to(exact) for tensor in self._shard)
        pairs = list(zip(batch.chunk(micro_batches), target.chunk(micro_batches), strict=True))
        use_second = self._rank % 2 == 0 if partly else True
        for _ in range(2):
            ddp.zero_grad()
            for index, (inputs, wanted) in enumerate(pairs):
                last = index == len(pairs) - 1
                with nullcontext() if last else ddp.no_sync():
                    loss = nn.functional.mse_loss(ddp(inputs, use_second), wanted)
                    (loss / micro_batches).backward()
        found = model.named().items()
        return arrays({n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in found})

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """See Trainer: what is wrapped, and the buffers that each step begins with."""
        torch.manual_seed(own_seed(self._rank))
        norm = nn.BatchNorm1d(HIDDEN)
        nn.init.normal_(norm.running_mean)
        model = nn.Sequential(nn.Linear(FEATURES, HIDDEN), norm, nn.Linear(HIDDEN, 1))
        drawn = arrays(model.state_dict())
        ddp = DistributedDataParallel(model)
        wrapped = arrays(model.state_dict())

        def buffers() -> Arrays:
            return arrays(dict(norm.named_buffers()))

        begins, ends = [], []
        model.register_forward_pre_hook(lambda *_: begins.append(buffers()))
        for _ in range(2):
            ddp(self._shard[0].float()).square().mean().backward()
            ends.append(buffers())
        return {"parameters": (drawn, wrapped), "buffers": (ends[0], begins[1])}

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


@contextmanager
def trainer(out: Emitter) -> Iterator[Ddp]:
    """Join all ranks by gloo."""
    torch.use_deterministic_algorithms(True)
    with gloo(out):
        yield Ddp(out)
