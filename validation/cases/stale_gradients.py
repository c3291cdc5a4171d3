"""Training on gradients that are a step old, so that allreduce and computation overlap.

Plain torch over a communicator (communicators.py). Weights and gradients of the whole model are
tensors of one dimension; the two classes hold the allreduce that is under way between two steps.
"""

from __future__ import annotations

from collections import deque

import torch
from communicators import Communicator, Pending
from torch import Tensor


class LaggedMean:
    """Mean gradients that arrive `lag` steps late, so that allreduce and computation overlap.

        w(t+1) = w(t) - rate mean over ranks of g(w(t - lag)); no update in the first `lag` steps

    The gradient lag of Kurth et al., SC18, arXiv:1810.01993, where it was 1.
    """

    def __init__(self, comm: Communicator, lag: int = 1) -> None:
        """Begin with nothing under way."""
        self._comm, self._lag = comm, lag
        self._pending: deque[Pending] = deque()

    def exchange(self, gradient: Tensor) -> Tensor | None:
        """Start on this step's gradient, (n,); give the mean of `lag` steps before, if any."""
        self._pending.append(self._comm.start_allreduce(gradient))
        return self._next() if len(self._pending) > self._lag else None

    def drain(self) -> list[Tensor]:
        """Wait for the last `lag` means, oldest first; all ranks must before they part."""
        return [self._next() for _ in range(len(self._pending))]

    def _next(self) -> Tensor:
        return self._pending.popleft().wait() / self._comm.size


def compensate(gradient: Tensor, distance: Tensor, strength: float) -> Tensor:
    """Estimate the gradient at a distance from where it was taken: g + lambda g*g*D.

    To first order the change is the Hessian times D. Its diagonal is estimated by g*g, and lambda
    makes the correction `strength` times as long as g. Products are element by element.
    """
    correction = gradient * gradient * distance
    length = torch.linalg.vector_norm(correction)
    if not length:
        return gradient
    return gradient + strength * torch.linalg.vector_norm(gradient) / length * correction


class DelayCompensatedSgd:
    """DC-S3GD: each rank goes on from its own weights while the mean update is under way.

    A step of rank i, whose weights are w, velocity v and last update u; D, v and u begin as zero:

        D = mean over ranks of u - u
        v = momentum v + compensate(gradient at w, D)
        u = -rate v
        w = w + D + u

    w + D are the weights that all ranks agree on, one step late. Rigazzi, "DC-S3GD: Delay-
    Compensated Stale-Synchronous SGD for Large-Scale Decentralized Neural Network Training",
    arXiv:1911.02516, with momentum SGD as its update.
    """

    def __init__(
        self,
        comm: Communicator,
        weights: Tensor,
        rate: float,
        momentum: float = 0.9,
        strength: float = 0.2,
    ) -> None:
        """Begin with weights, (n,), that are the same on all ranks."""
        self.weights = weights
        self._comm, self._rate = comm, rate
        self._momentum, self._strength = momentum, strength
        self._velocity = torch.zeros_like(weights)
        self._update = torch.zeros_like(weights)
        self._pending: Pending | None = None

    def step(self, gradient: Tensor) -> None:
        """Move on by this rank's own gradient, (n,), taken at `weights`."""
        distance = self._distance()
        compensated = compensate(gradient, distance, self._strength)
        self._velocity = self._momentum * self._velocity + compensated
        self._update = -self._rate * self._velocity
        self._pending = self._comm.start_allreduce(self._update)
        self.weights = self.weights + distance + self._update

    def settle(self) -> None:
        """Wait for the last mean, and move to the weights that all ranks agree on."""
        self.weights = self.weights + self._distance()
        self._pending = None

    def _distance(self) -> Tensor:
        """Give D: how far the ranks' mean weights lie from this rank's."""
        if self._pending is None:
            return torch.zeros_like(self.weights)
        return self._pending.wait() / self._comm.size - self._update
