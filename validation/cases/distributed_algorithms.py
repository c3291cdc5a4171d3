"""Distributed algorithms compute what their serial definitions say, on every rank."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import algorithms_serial as serial
import numpy as np
import torch
from algorithms import (
    Moments,
    accumulated_mean,
    compressed_mean,
    hierarchical_allreduce,
    lamb_step,
    larc_step,
    mean_over_ranks,
    sparse_mean,
    split_nodes,
)
from communicators import Communicator, MpiCommunicator, Operation, Pending, TorchCommunicator
from emit import Emitter
from stale_gradients import DelayCompensatedSgd, LaggedMean
from torch import Tensor, nn
from world import gloo

STEPS = 6
RATE, DECAY, TRUST = 0.1, 0.01, 0.05
BETAS, EPSILON = (0.9, 0.999), 1e-6
MOMENTUM, STRENGTH = 0.9, 0.2
# Of the largest weight in a layer. A step sums some 60 products, each rounded to 1.1e-16 of its
# size: 6 steps give 4e-14, LAMB's 1 - 0.999 another 1e-13. One rank in float32 errs by 4e-9.
LIMIT = 1e-12
# Layers of a sparse allreduce, by their elements, and which ranks (down) use which (across).
LAYERS = (3, 1, 1000, 8)
USES: dict[str, Callable[[int, int], np.ndarray]] = {
    "used by all": lambda ranks, layers: np.ones((ranks, layers)),
    "used by one rank or none": np.eye,
    "used by rank 0": lambda ranks, layers: np.eye(ranks, 1) * np.ones(layers),
    "used by none": lambda ranks, layers: np.zeros((ranks, layers)),
}
# Empty, one element, and sizes that a node's ranks divide and don't.
SIZES = (0, 1, 1000, 4099)
MICRO_BATCH = 4
# Unit roundoff, and half of the smallest positive number: IEEE 754's binary16, and the upper half
# of its binary32.
FORMATS = {torch.float16: (2.0**-11, 2.0**-25), torch.bfloat16: (2.0**-8, 2.0**-134)}


class Verdict(NamedTuple):
    """Whether a check holds on this rank, and the measured value with its limit."""

    ok: bool
    detail: str


# --- how a rank trains --------------------------------------------------------------------------


def initial_weights() -> Tensor:
    """Give the weights that all ranks start from."""
    return torch.from_numpy(serial.initial_weights())


def gradient(weights: Tensor, inputs: np.ndarray, targets: np.ndarray) -> Tensor:
    """Give autograd's gradient of the serial definition's model on some samples."""
    leaf = weights.detach().requires_grad_()
    parts = zip(leaf.split(serial.LAYERS), serial.SHAPES, strict=True)
    first, second, bias = (layer.view(shape) for layer, shape in parts)
    predicted = torch.tanh(torch.from_numpy(inputs) @ first) @ second + bias
    squares = nn.functional.mse_loss(predicted, torch.from_numpy(targets), reduction="sum")
    return torch.autograd.grad(squares / len(inputs), leaf)[0]


def mean_gradients(comm: Communicator, weights: Tensor, step: int) -> Iterator[Tensor]:
    """Give the mean over ranks of the gradient of this rank's shard, layer by layer."""
    mine = gradient(weights, *serial.shard(step, comm.rank))
    yield from mean_over_ranks(comm, mine).split(serial.LAYERS)


def compare(got: Tensor, want: np.ndarray) -> Verdict:
    """Compare weights or gradients; a NaN is an error of NaN, which no limit allows."""
    pairs = zip(serial.layers(got.numpy()), serial.layers(want), strict=True)
    error = np.max([np.abs(g - w).max() / np.abs(w).max() for g, w in pairs])
    return Verdict(error <= LIMIT, f"max relative error {error:.1e}, limit {LIMIT:.0e}")


# --- one function per check ---------------------------------------------------------------------


def check_hierarchical(comm: Communicator) -> Verdict:
    """Sum integers, which every dtype adds exactly in any order, for all sizes of node."""
    wrong = []
    for per_node in (n for n in range(1, comm.size + 1) if comm.size % n == 0):
        node, across = split_nodes(comm, per_node)
        for dtype in (torch.int64, torch.float32, torch.float64):
            for size in SIZES:
                ranks = [(torch.arange(size) * 31 + r * 17) % 97 for r in range(comm.size)]
                got = hierarchical_allreduce(ranks[comm.rank].to(dtype), node, across)
                if not torch.equal(got, sum(ranks).to(dtype)):
                    wrong.append(f"{dtype}[{size}] on {comm.size // per_node} nodes of {per_node}")
    return Verdict(not wrong, f"{len(wrong)} wrong {'; '.join(wrong[:5])}".rstrip())


def check_accumulated(comm: Communicator) -> Verdict:
    """Accumulate over micro-batches: the last of a rank is smaller, and ranks have unlike many."""
    samples = [6 + 3 * rank for rank in range(comm.size)]
    inputs, targets = serial.shard(0, comm.rank, samples[comm.rank])
    cuts = range(MICRO_BATCH, len(inputs), MICRO_BATCH)
    batches = zip(np.split(inputs, cuts), np.split(targets, cuts), strict=True)
    start = initial_weights()
    got = accumulated_mean(comm, ((gradient(start, x, y), len(x)) for x, y in batches))
    return compare(got, serial.gradient(start.numpy(), *serial.batch(0, samples)))


class Counting:
    """Counts the elements that this rank gives to sums over ranks."""

    def __init__(self, comm: Communicator) -> None:
        """Count for a communicator."""
        self._comm, self.rank, self.size, self.elements = comm, comm.rank, comm.size, 0

    def start_allreduce(self, mine: Tensor, operation: Operation = "sum") -> Pending:
        """See Communicator."""
        self.elements += mine.numel() if operation == "sum" else 0
        return self._comm.start_allreduce(mine, operation)


def check_sparse(comm: Communicator) -> Verdict:
    """Average integers, which are exact, where ranks use few layers; and send no others."""
    counting, wrong, due = Counting(comm), [], 0
    weights = [torch.zeros(size, dtype=torch.float64) for size in LAYERS]
    ranks = [[(torch.arange(n) * 31 + r * 17) % 97 for n in LAYERS] for r in range(comm.size)]
    for name, uses in USES.items():
        used = uses(comm.size, len(LAYERS)).astype(bool)
        mine = zip(ranks[comm.rank], used[comm.rank], strict=True)
        got = sparse_mean(counting, [g.double() if its else None for g, its in mine], weights)
        for layer, mean in enumerate(got):
            parts = [g[layer] for g, its in zip(ranks, used, strict=True) if its[layer]]
            due += len(parts) > 0 and LAYERS[layer]
            want = sum(parts) / comm.size if parts else None
            same = torch.equal(mean, want) if None not in (mean, want) else mean is want
            wrong += [] if same else [f"layer {layer} {name}"]
    detail = f"{len(wrong)} wrong {'; '.join(wrong[:5])}".rstrip()
    detail += f"; {counting.elements} elements sent, {due} used"
    return Verdict(not wrong and counting.elements == due, detail)


def check_lag(comm: Communicator) -> Verdict:
    """Train on gradients of the step before."""
    exchange, weights = LaggedMean(comm, lag=1), initial_weights()
    for step in range(STEPS):
        mean = exchange.exchange(gradient(weights, *serial.shard(step, comm.rank)))
        if mean is not None:
            weights = weights - RATE * mean
    exchange.drain()
    return compare(weights, serial.delayed_sgd(STEPS, comm.size, RATE, lag=1))


def check_larc(comm: Communicator) -> Verdict:
    """Train with LARC, whose limit holds for some layers and not for others."""
    weights = initial_weights()
    for step in range(STEPS):
        pairs = zip(weights.split(serial.LAYERS), mean_gradients(comm, weights, step), strict=True)
        weights = torch.cat([larc_step(w, g, RATE, TRUST, DECAY) for w, g in pairs])
    return compare(weights, serial.train(serial.larc(RATE, TRUST, DECAY), STEPS, comm.size))


def check_lamb(comm: Communicator) -> Verdict:
    """Train with LAMB."""
    weights = list(initial_weights().split(serial.LAYERS))
    moments = [Moments(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    for step in range(STEPS):
        for i, mean in enumerate(mean_gradients(comm, torch.cat(weights), step)):
            weights[i], moments[i] = lamb_step(
                weights[i], mean, moments[i], RATE, BETAS, EPSILON, DECAY
            )
    want = serial.train(serial.lamb(RATE, BETAS, EPSILON, DECAY), STEPS, comm.size)
    return compare(torch.cat(weights), want)


def check_dc_s3gd(comm: Communicator) -> Verdict:
    """Train with DC-S3GD: this rank's weights, and those that the ranks agree on in the end."""
    training = DelayCompensatedSgd(comm, initial_weights(), RATE, MOMENTUM, STRENGTH)
    for step in range(STEPS):
        training.step(gradient(training.weights, *serial.shard(step, comm.rank)))
    own = training.weights
    training.settle()
    wanted, agreed = serial.dc_s3gd(STEPS, comm.size, RATE, MOMENTUM, STRENGTH)
    verdicts = compare(own, wanted[comm.rank]), compare(training.weights, agreed)
    return Verdict(all(v.ok for v in verdicts), "; agreed: ".join(v.detail for v in verdicts))


def spread_values(size: int, rank: int) -> Tensor:
    """Make float32 values over twelve orders of magnitude, beyond the largest of float16."""
    generator = np.random.default_rng([9, rank])
    scale = 10 ** generator.uniform(-6, 6, size)
    return torch.from_numpy(generator.standard_normal(size) * scale).float()


def check_compressed(comm: Communicator, dtype: torch.dtype) -> Verdict:
    """Hold the error against its bound, and the bits against those of the other ranks."""
    unequal, errors = 0, []
    for size in SIZES[1:]:
        ranks = torch.stack([spread_values(size, r) for r in range(comm.size)])
        got = compressed_mean(comm, ranks[comm.rank], dtype)
        bits = got.view(torch.int32)
        unequal += int((comm.allgather(bits).view(comm.size, -1) != bits).sum())
        exact = ranks.numpy().astype(np.float64)
        bound = serial.compression_bound(exact, *FORMATS[dtype])
        errors.append(np.max(np.abs(got.numpy() - exact.mean(axis=0)) / bound))
    worst = np.max(errors)
    detail = f"error {worst:.2f} of its bound, limit 1; {unequal} elements differ between ranks"
    return Verdict(worst <= 1 and not unequal, detail)


CHECKS: dict[str, Callable[[Communicator], Verdict]] = {
    "hierarchical_allreduce": check_hierarchical,
    "accumulated_mean": check_accumulated,
    "sparse_mean": check_sparse,
    "gradient_lag": check_lag,
    "larc": check_larc,
    "lamb": check_lamb,
    "dc_s3gd": check_dc_s3gd,
    "compressed_float16": lambda comm: check_compressed(comm, torch.float16),
    "compressed_bfloat16": lambda comm: check_compressed(comm, torch.bfloat16),
}
BACKENDS = {"gloo": (gloo, TorchCommunicator), "mpi": (nullcontext, MpiCommunicator)}


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    group, communicator = BACKENDS[parser.parse_args().backend]
    with Emitter() as out, group(out):
        comm = communicator()
        joined = comm.size == out.world
        out.check("world_size", joined, f"{comm.size} of {out.world} ranks")
        for name, check in CHECKS.items() if joined else ():
            out.check(name, *check(comm))


if __name__ == "__main__":
    main()
