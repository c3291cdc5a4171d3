"""Optimizers by name: torch's, and LARC and LAMB of algorithms.py, with a rate for each layer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from algorithms import Moments, lamb_step, larc_step
from torch import nn
from torch.optim import Optimizer


class Larc(Optimizer):
    """SGD whose rate each layer limits: `algorithms.larc_step`."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, trust: float = 0.02, decay: float = 0.0
    ) -> None:
        """Take a global learning rate, and the fraction of itself that a layer may move."""
        super().__init__(params, {"lr": lr, "trust": trust, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take a step."""
        del closure
        for group in self.param_groups:
            for layer in group["params"]:
                rates = group["lr"], group["trust"], group["decay"]
                moved = larc_step(layer.flatten(), layer.grad.flatten(), *rates)
                layer.copy_(moved.view_as(layer))


class Lamb(Optimizer):
    """Adam whose steps are as long as each layer's weights: `algorithms.lamb_step`."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
    ) -> None:
        """Take the part of its own length by which a layer moves, and the moments' decays."""
        super().__init__(params, {"lr": lr, "betas": betas, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take a step."""
        del closure
        for group in self.param_groups:
            for layer in group["params"]:
                flat, gradient = layer.flatten(), layer.grad.flatten()
                none = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
                moments = self.state[layer].get("moments", none)
                rates = {"rate": group["lr"], "betas": group["betas"], "decay": group["decay"]}
                moved, self.state[layer]["moments"] = lamb_step(flat, gradient, moments, **rates)
                layer.copy_(moved.view_as(layer))


def flaw(options: Mapping[str, Any]) -> str:
    """Say what is wrong with the options of an optimizer; nothing if it can be made."""
    name = options.get("name")
    kind = _class_of(name)
    if kind is None:
        return f"name is {name!r}, not a class of torch.optim, Larc or Lamb"
    known = [*inspect.signature(kind).parameters][1:]
    unknown = [key for key in options if key not in ("name", *known)]
    return f"{name} has no {unknown[0]!r}, but {', '.join(known)}" if unknown else ""


def _class_of(name: object) -> Any:
    own = {"Larc": Larc, "Lamb": Lamb}
    kind = own.get(str(name)) or getattr(torch.optim, str(name), None)
    return kind if isinstance(kind, type) and issubclass(kind, Optimizer) else None


def optimizer_of(model: nn.Module, options: Mapping[str, Any]) -> Optimizer:
    """Make the optimizer of a model's parameters.

    Args:
        options: `name`, a class of this file or of `torch.optim`, and its arguments.
    """
    arguments = dict(options)
    kind = _class_of(arguments.pop("name"))
    made: Optimizer = kind([p for p in model.parameters() if p.requires_grad], **arguments)
    return made
