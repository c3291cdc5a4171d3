"""The network of branches.py in PyTorch, trained by Horovod's optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from branches import CHANNELS, FEATURES, HIDDEN, Arrays
from emit import Emitter
from gradients import MOMENTUM, STEPS, own_seed, rates
from gradients_torch import Branches, OnShard, arrays, make_model
from horovod_training import STOP_AFTER
from torch import nn

FILE = "checkpoint.pt"


class Distributed(OnShard):
    """See `horovod_training.Training`."""

    def __init__(self, horovod: Any, out: Emitter) -> None:
        """Take this rank's shard of the batch."""
        super().__init__(out)
        self._horovod = horovod

    def _optimizer(self, model: Branches, passes: int = 1) -> Any:
        plain = torch.optim.SGD(model.parameters(), lr=1.0, momentum=MOMENTUM)
        for group in plain.param_groups:
            group["initial_lr"] = 1.0  # a schedule's; ranks must have the same to broadcast it
        return self._horovod.DistributedOptimizer(
            plain, named_parameters=model.named_parameters(), backward_passes_per_step=passes
        )

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """See Trainer."""
        exact = getattr(torch, dtype)
        model = make_model(exact, channels)
        optimizer = self._optimizer(model, micro_batches)
        batch, target = (tensor.to(exact) for tensor in self._shard)
        parts = zip(batch.chunk(micro_batches), target.chunk(micro_batches), strict=True)
        use_second = self._rank % 2 == 0 if partly else True
        for inputs, wanted in parts:
            # Horovod adds up what the passes leave.
            (nn.functional.mse_loss(model(inputs, use_second), wanted) / micro_batches).backward()
        optimizer.synchronize()
        return arrays({name: parameter.grad for name, parameter in model.named().items()})

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """See Trainer."""
        torch.manual_seed(own_seed(self._rank))
        norm = nn.BatchNorm1d(HIDDEN)
        nn.init.normal_(norm.running_mean)
        model = nn.Sequential(nn.Linear(FEATURES, HIDDEN), norm, nn.Linear(HIDDEN, 1))
        told = {
            "parameters": dict(model.named_parameters()),
            "buffers": dict(model.named_buffers()),
        }
        drawn = {what: arrays(tensors) for what, tensors in told.items()}
        self._horovod.broadcast_parameters(model.state_dict(), root_rank=0)
        return {what: (drawn[what], arrays(tensors)) for what, tensors in told.items()}

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer."""
        model = make_model(getattr(torch, dtype))
        used = self._steps(model, self._optimizer(model), range(STEPS), dtype)
        return arrays(dict(model.named())), used

    def resumed(self, folder: Path) -> Arrays:
        """See Training."""
        model = make_model(torch.float32)
        optimizer = self._optimizer(model)
        self._steps(model, optimizer, range(STOP_AFTER), "float32")
        if self._rank == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, folder / FILE)

        torch.manual_seed(own_seed(self._rank))
        model = Branches(CHANNELS)
        optimizer = self._optimizer(model)
        if self._rank == 0:
            state = torch.load(folder / FILE, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        self._horovod.broadcast_parameters(model.state_dict(), root_rank=0)
        self._horovod.broadcast_optimizer_state(optimizer, root_rank=0)
        self._steps(model, optimizer, range(STOP_AFTER, STEPS), "float32")
        return arrays(dict(model.named()))

    def state(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """See Training."""
        model = make_model(torch.float32)
        plain = torch.optim.SGD(model.parameters(), lr=1.0, momentum=MOMENTUM)
        self._steps(model, plain, range(STOP_AFTER), "float32")
        held = momenta(plain)
        named = model.named_parameters()
        return held, momenta(self._horovod.DistributedOptimizer(plain, named_parameters=named))

    def _steps(self, model: Branches, optimizer: Any, steps: range, dtype: str) -> list[float]:
        """Take steps, and give their rates."""
        batch, target = (tensor.to(getattr(torch, dtype)) for tensor in self._shard)
        wanted = rates(self._world)
        for group in optimizer.param_groups:
            group["lr"] = 1.0
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: wanted[min(step, STEPS - 1)], last_epoch=steps.start - 1
        )
        used = []
        for _ in steps:
            used.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.zero_grad()
            nn.functional.mse_loss(model(batch, True), target).backward()
            optimizer.step()
            schedule.step()
        return used


def momenta(optimizer: Any) -> list[np.ndarray]:
    """Copy the momenta that an optimizer has gathered."""
    return [state["momentum_buffer"].numpy().copy() for state in optimizer.state.values()]


def training(horovod: Any, out: Emitter) -> Distributed:
    """Begin."""
    torch.use_deterministic_algorithms(True)
    return Distributed(horovod, out)
