"""Training on N ranks computes what one rank computes on the whole batch."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from contextlib import nullcontext

import torch
import torch.distributed as dist
from emit import Emitter
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from world import gloo

SAMPLES_PER_RANK = 12
FEATURES = 16
STEPS = 5
# Reassociation of a sum over the batch: some tens of units in the last place.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


class Branches(nn.Module):
    """Two branches, of which a batch may use only the first."""

    def __init__(self) -> None:
        """Make a network with every kind of layer that DDP buckets apart: conv, norm, linear."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Unflatten(1, (1, FEATURES)), nn.Conv1d(1, 8, 3, padding=1), nn.Tanh(), nn.Flatten()
        )
        self.norm = nn.LayerNorm(8 * FEATURES)
        self.first = nn.Linear(8 * FEATURES, 1)
        self.second = nn.Linear(8 * FEATURES, 1)

    def forward(self, batch: Tensor, use_second: bool) -> Tensor:
        """Map (samples, FEATURES) to (samples, 1)."""
        hidden = self.norm(self.body(batch))
        result: Tensor = self.first(hidden)
        return result + self.second(hidden) if use_second else result


def make_model(dtype: torch.dtype) -> Branches:
    """Make the same model on every rank and every call."""
    torch.manual_seed(7)
    return Branches().to(dtype)


def make_batch(world: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Make the whole batch: SAMPLES_PER_RANK * world samples and their targets."""
    generator = torch.Generator().manual_seed(11)
    count = SAMPLES_PER_RANK * world
    batch = torch.randn(count, FEATURES, generator=generator, dtype=torch.float64)
    target = torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return batch.to(dtype), target.to(dtype)


def shard(tensor: Tensor, rank: int) -> Tensor:
    """Give a rank's part of the batch."""
    return tensor[rank * SAMPLES_PER_RANK : (rank + 1) * SAMPLES_PER_RANK]


def uses_second(rank: int, partly: bool) -> bool:
    """Decide which ranks use the second branch: all, or (partly) only the even ones."""
    return rank % 2 == 0 if partly else True


def reference_gradients(world: int, dtype: torch.dtype, partly: bool) -> list[Tensor]:
    """Compute the full-batch gradient on this rank alone, without torch.distributed."""
    model = make_model(dtype)
    batch, target = make_batch(world, dtype)
    predictions = [model(shard(batch, r), uses_second(r, partly)) for r in range(world)]
    nn.functional.mse_loss(torch.cat(predictions), target).backward()
    return gradients(model)


def ddp_gradients(
    out: Emitter, dtype: torch.dtype, *, partly: bool = False, micro_batches: int = 1
) -> list[Tensor]:
    """Compute the gradient that DDP leaves on this rank, accumulated over micro-batches."""
    model = make_model(dtype)
    ddp = DistributedDataParallel(model, find_unused_parameters=partly)
    batch, target = (shard(whole, out.rank) for whole in make_batch(out.world, dtype))
    pairs = list(zip(batch.chunk(micro_batches), target.chunk(micro_batches), strict=True))
    for index, (inputs, wanted) in enumerate(pairs):
        last = index == len(pairs) - 1
        with nullcontext() if last else ddp.no_sync():
            prediction = ddp(inputs, uses_second(out.rank, partly))
            (nn.functional.mse_loss(prediction, wanted) / micro_batches).backward()
    return gradients(model)


def gradients(model: nn.Module) -> list[Tensor]:
    """Copy the gradients of all parameters; zeros where a parameter was not used."""
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


def relative_error(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> float:
    """Give the largest deviation, over the tensors, relative to each tensor's largest element."""
    pairs = zip(found, wanted, strict=True)
    return max(float((f - w).abs().max() / w.abs().max()) for f, w in pairs)


def hash_of(parameters: Iterable[Tensor]) -> str:
    """Hash the bytes of all parameters."""
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.numpy().tobytes())
    return digest.hexdigest()


def train(wrapped: nn.Module, batch: Tensor, target: Tensor) -> list[Tensor]:
    """Train STEPS steps; the parameters after."""
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(wrapped(batch, True), target).backward()
        optimizer.step()
    return [parameter.detach() for parameter in wrapped.parameters()]


def train_together(out: Emitter, dtype: torch.dtype) -> list[Tensor]:
    """Train with DDP on this rank's shard."""
    batch, target = (shard(whole, out.rank) for whole in make_batch(out.world, dtype))
    return train(DistributedDataParallel(make_model(dtype)), batch, target)


def check_gradients(out: Emitter) -> None:
    """Compare DDP's mean gradient with the full batch's, in the ways that users train."""
    for dtype, limit in TOLERANCE.items():
        name = str(dtype).removeprefix("torch.")
        whole = reference_gradients(out.world, dtype, partly=False)
        partial = reference_gradients(out.world, dtype, partly=True)
        found = {
            "mean_gradient": (ddp_gradients(out, dtype), whole),
            "accumulated_gradient": (ddp_gradients(out, dtype, micro_batches=3), whole),
            "unused_parameters": (ddp_gradients(out, dtype, partly=True), partial),
        }
        for check, (got, wanted) in found.items():
            error = relative_error(got, wanted)
            detail = f"max relative error {error:.1e}, limit {limit:.0e}"
            out.check(f"{check}_{name}", error <= limit, detail)


def check_parameters(out: Emitter) -> None:
    """Compare the parameters after training: with one rank's, over the ranks, over two runs."""
    exact = torch.float64
    alone = train(make_model(exact), *make_batch(out.world, exact))
    error, limit = relative_error(train_together(out, exact), alone), TOLERANCE[exact]
    detail = f"max relative error {error:.1e} after {STEPS} steps, limit {limit:.0e}"
    out.check("trained_parameters", error <= limit, detail)

    first, second = (hash_of(train_together(out, torch.float32)) for _ in range(2))
    hashes: list[str] = [""] * out.world
    dist.all_gather_object(hashes, first)
    distinct = len(set(hashes))
    out.check("equal_parameters", distinct == 1, f"{distinct} distinct on {out.world} ranks")
    out.check("repeatable", first == second, f"{first[:12]} and {second[:12]} in two runs")


def check_shards(out: Emitter) -> None:
    """Check that each epoch's shards are disjoint and cover the data."""
    count = SAMPLES_PER_RANK * out.world
    sampler = DistributedSampler(list(range(count)), out.world, out.rank, shuffle=True, seed=3)
    sampler.set_epoch(1)
    shards: list[list[int]] = [[]] * out.world
    dist.all_gather_object(shards, list(sampler))
    seen = sorted(itertools.chain.from_iterable(shards))
    covered = seen == list(range(count))
    out.check("shards", covered, f"{len(set(seen))} of {count} samples, {len(seen)} drawn")


def main() -> None:
    """Run the case."""
    torch.use_deterministic_algorithms(True)
    with Emitter() as out, gloo(out):
        check_gradients(out)
        check_parameters(out)
        check_shards(out)


if __name__ == "__main__":
    main()
