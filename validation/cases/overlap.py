"""How much of the gradients' allreduce DDP hides behind the backward pass; means are verified."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.distributed as dist
from bottleneck import hidden
from emit import Emitter
from timing import summary
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode
from world import gloo

from probes import emit_ceilings

LAYERS, FEATURES, SAMPLES = 6, 1024, 128
# Several buckets, so that the first ones travel while the others are still computed.
BUCKET_MB = 4
REPETITIONS = 5
# Of float32 sums over ranks, relative to the largest; bfloat16 in place of it gives 1e-3.
TOLERANCE = 1e-6


def seconds_of(work: Callable[[], None]) -> float:
    """Time work that all ranks begin together, on the slowest of them."""
    dist.barrier()
    begun = time.perf_counter()
    work()
    taken = torch.tensor([time.perf_counter() - begun], dtype=torch.float64)
    dist.all_reduce(taken, op=dist.ReduceOp.MAX)
    return taken.item()


def allreduce_all(buckets: list[Tensor]) -> None:
    """Sum buckets over all ranks, all of them under way at once, as DDP does."""
    for work in [dist.all_reduce(bucket, async_op=True) for bucket in buckets]:
        work.wait()


def flat_gradient(model: nn.Module) -> Tensor:
    """Join the gradients of all parameters."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def mean_over_ranks(mine: Tensor, world: int) -> Tensor:
    """Average without an allreduce, which is what is being verified, and in float64."""
    parts = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(parts, mine)
    return torch.stack(parts).double().mean(dim=0)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to each rank")
    threads: int = parser.parse_args().threads
    with Emitter() as out:
        emit_ceilings(out, out.world * threads, "peak_fp32")
        with gloo(out):
            torch.manual_seed(1)
            model = nn.Sequential(*(nn.Linear(FEATURES, FEATURES) for _ in range(LAYERS)))
            ddp = DistributedDataParallel(model, bucket_cap_mb=BUCKET_MB)
            torch.manual_seed(2 + out.rank)
            samples = torch.randn(SAMPLES, FEATURES)

            def loss() -> Tensor:
                model.zero_grad()
                return ddp(samples).square().sum()

            with FlopCounterMode(display=False) as counter, ddp.no_sync():
                forward = loss()
                before = counter.get_total_flops()
                forward.backward()
            flops = (counter.get_total_flops() - before) * out.world
            wanted = mean_over_ranks(flat_gradient(model), out.world)
            buckets = list(torch.zeros_like(flat_gradient(model)).split(BUCKET_MB << 18))

            alone, sent, both = [], [], []
            worst = 0.0
            for _ in range(REPETITIONS + 1):  # the first one warms up
                with ddp.no_sync():
                    alone.append(seconds_of(loss().backward))
                sent.append(seconds_of(lambda: allreduce_all(buckets)))
                both.append(seconds_of(loss().backward))
                error = (flat_gradient(model).double() - wanted).abs().max() / wanted.abs().max()
                worst = max(worst, float(error.nan_to_num(torch.inf)))
        del alone[0], sent[0], both[0]
        detail = f"worst error {worst:.1e}, limit {TOLERANCE:.0e}"
        out.check("means_verified", worst <= TOLERANCE, detail)
        if out.rank == 0:
            out.metric("ddp_backward", flops / median(both) / 1e9, "GFLOP/s")
            share = hidden(median(alone), median(sent), median(both))
            out.info("share of communication hidden", share)
            out.info("backward alone", summary(alone))
            out.info("allreduce alone", summary(sent))
            out.info("both", summary(both))


if __name__ == "__main__":
    main()
