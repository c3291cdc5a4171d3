"""The network of branches.py in PyTorch, trained by Horovod's optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from branches import CHANNELS, EPSILON, HIDDEN, SHAPES, Arrays
from emit import Emitter
from horovod_training import MOMENTUM, STEPS, STOP_AFTER, initial, rates, shard_of
from torch import Tensor, nn
from torch.utils.data import DistributedSampler

FILE = "checkpoint.pt"


class Branches(nn.Module):
    """Two heads, whose outputs are added."""

    def __init__(self) -> None:
        """Build the network, with parameters by torch's random state."""
        super().__init__()
        self.convolution = nn.Conv1d(1, CHANNELS, 3, padding=1)
        self.norm = nn.LayerNorm(HIDDEN, eps=EPSILON)
        self.first = nn.Linear(HIDDEN, 1)
        self.second = nn.Linear(HIDDEN, 1)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (samples, FEATURES) to (samples,)."""
        hidden = self.norm(torch.tanh(self.convolution(batch[:, None])).flatten(1))
        result: Tensor = self.first(hidden) + self.second(hidden)
        return result.flatten()

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
    model = Branches().to(dtype)
    wanted = initial()
    with torch.no_grad():
        for name, parameter in model.named().items():
            parameter.copy_(torch.from_numpy(wanted[name]).view_as(parameter))
    return model


def arrays(tensors: dict[str, Any]) -> Arrays:
    """Copy tensors into the shapes of branches.py."""
    return {
        name: tensors[name].detach().numpy().reshape(shape).copy() for name, shape in SHAPES.items()
    }


class Distributed:
    """See `horovod_training.Training`."""

    rate_in_velocity = False

    def __init__(self, horovod: Any, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        self._horovod = horovod
        self._rank, self._world = out.rank, out.world
        self._shard = [torch.from_numpy(array) for array in shard_of(out.rank, out.world)]

    def _optimizer(self, model: Branches, passes: int = 1) -> Any:
        plain = torch.optim.SGD(model.parameters(), lr=1.0, momentum=MOMENTUM)
        return self._horovod.DistributedOptimizer(
            plain, named_parameters=model.named_parameters(), backward_passes_per_step=passes
        )

    def gradients(self, dtype: str, micro_batches: int) -> Arrays:
        """See Training."""
        exact = getattr(torch, dtype)
        model = make_model(exact)
        optimizer = self._optimizer(model, micro_batches)
        batch, target = (tensor.to(exact) for tensor in self._shard)
        parts = zip(batch.chunk(micro_batches), target.chunk(micro_batches), strict=True)
        for inputs, wanted in parts:
            # Horovod divides by the passes itself.
            nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.synchronize()
        return arrays({name: p.grad for name, p in model.named().items()})

    def broadcast(self) -> Arrays:
        """See Training."""
        torch.manual_seed(100 + self._rank)
        model = Branches()
        self._horovod.broadcast_parameters(model.state_dict(), root_rank=0)
        return arrays(model.named())

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Training."""
        model = make_model(getattr(torch, dtype))
        used = self._steps(model, self._optimizer(model), range(STEPS), dtype)
        return arrays(model.named()), used

    def resumed(self, folder: Path) -> Arrays:
        """See Training."""
        model = make_model(torch.float32)
        optimizer = self._optimizer(model)
        self._steps(model, optimizer, range(STOP_AFTER), "float32")
        if self._rank == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, folder / FILE)

        torch.manual_seed(200 + self._rank)
        model = Branches()
        optimizer = self._optimizer(model)
        if self._rank == 0:
            state = torch.load(folder / FILE, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        self._horovod.broadcast_parameters(model.state_dict(), root_rank=0)
        self._horovod.broadcast_optimizer_state(optimizer, root_rank=0)
        self._steps(model, optimizer, range(STOP_AFTER, STEPS), "float32")
        return arrays(model.named())

    def _steps(self, model: Branches, optimizer: Any, steps: range, dtype: str) -> list[float]:
        """Take steps, and give their rates."""
        batch, target = (tensor.to(getattr(torch, dtype)) for tensor in self._shard)
        wanted = rates(self._world)
        for group in optimizer.param_groups:
            group.update(lr=1.0, initial_lr=1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: wanted[min(step, STEPS - 1)], last_epoch=steps.start - 1
        )
        used = []
        for _ in steps:
            used.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.zero_grad()
            nn.functional.mse_loss(model(batch), target).backward()
            optimizer.step()
            schedule.step()
        return used

    def shard(self, count: int) -> list[int]:
        """See Training."""
        size, rank = self._horovod.size(), self._horovod.rank()
        sampler = DistributedSampler(list(range(count)), size, rank, shuffle=True, seed=3)
        sampler.set_epoch(1)
        return list(sampler)


def training(horovod: Any, out: Emitter) -> Distributed:
    """Begin."""
    torch.use_deterministic_algorithms(True)
    return Distributed(horovod, out)
