"""Steady-state speed of CosmoFlow's training step, against the machine's peak."""

from __future__ import annotations

import argparse

import torch
from cosmoflow_model import CosmoFlow, Shape
from emit import Emitter
from timing import median_seconds
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode
from world import gloo

from probes import emit_ceilings

# CosmoFlow's network on a 64th of its volume: the same kernels, in steps of a tenth of a second.
SHAPE = Shape(cells=32, channels=4, features=16, dropout=0.5)
SAMPLES_PER_RANK = 8
WARM_UP_STEPS = 3
STEPS = 12


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="granted to each rank")
    threads: int = parser.parse_args().threads
    with Emitter() as out:
        emit_ceilings(out, out.world * threads, "peak_fp32")
        with gloo(out):
            torch.manual_seed(1)
            model = CosmoFlow(SHAPE)
            ddp = DistributedDataParallel(model)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
            cubes = torch.randn(SAMPLES_PER_RANK, SHAPE.channels, *[SHAPE.cells] * 3)
            labels = torch.zeros(SAMPLES_PER_RANK, SHAPE.outputs)

            def step() -> float:
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(ddp(cubes), labels)
                loss.backward()
                optimizer.step()
                return loss.item()

            with FlopCounterMode(display=False) as counter:
                first = step()
            seconds = median_seconds(step, STEPS, WARM_UP_STEPS)
            last = step()
        out.check("loss_falls", last < first, f"loss {first:.4f} at first, {last:.4f} at last")
        if out.rank == 0:
            flops = counter.get_total_flops() * out.world
            out.metric("cosmoflow_train", flops / seconds / 1e9, "GFLOP/s")
            out.info("samples/s", SAMPLES_PER_RANK * out.world / seconds)


if __name__ == "__main__":
    main()
