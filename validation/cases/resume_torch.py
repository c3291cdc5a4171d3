"""A training of PyTorch that stops and resumes; see `resume.Training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from resume import DROPOUT, FEATURES, HALVES_EVERY, HIDDEN, MOMENTUM, RATE, batch_of
from torch import nn

FILE = "checkpoint.pt"


@dataclass(frozen=True)
class Training:
    """Everything that a step changes, beside torch's random state."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def run(self, steps: range) -> list[float]:
        """See Training."""
        used = []
        for step in steps:
            used.append(float(self.optimizer.param_groups[0]["lr"]))
            self.optimizer.zero_grad()
            self.model(torch.from_numpy(batch_of(step))).square().mean().backward()
            self.optimizer.step()
            self.schedule.step()
        return used

    def save(self, folder: Path) -> None:
        """See Training."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(state, folder / FILE)

    def load(self, folder: Path) -> None:
        """See Training."""
        state = torch.load(folder / FILE, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])

    def arrays(self) -> dict[str, np.ndarray]:
        """See Training."""
        return {name: t.numpy().copy() for name, t in self.model.state_dict().items()}


def start(seed: int) -> Training:
    """Begin with fresh parameters. Dropout makes the random state matter."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(FEATURES, HIDDEN, bias=False),
        nn.BatchNorm1d(HIDDEN),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, 1),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=HALVES_EVERY, gamma=0.5)
    return Training(model, optimizer, schedule)
