"""Steady-state speed of a science model's training step, against the machine's peak."""

from __future__ import annotations

import argparse

import torch
from cosmoflow import Cosmology
from emit import Emitter
from hepcnn import Jets
from resnet50 import Images
from timing import median_seconds
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode
from world import gloo

from probes import emit_ceilings

# Of each model: its size, and the samples of a rank in each step, of a tenth of a second or less.
MODELS = {
    # CosmoFlow's network on a 64th of its volume: the same kernels.
    "cosmoflow": (Cosmology(cells=32, channels=4, features=16, dropout=0.5), 8),
    "hepcnn": (Jets(pixels=64, widths=(16, 32, 64), dense=128), 32),
    # ResNet-50 on images of a twelfth of the pixels of ImageNet's.
    "resnet50": (Images(pixels=64), 8),
}
WARM_UP_STEPS = 3
STEPS = 12


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--threads", type=int, required=True, help="granted to each rank")
    options = parser.parse_args()
    science, samples = MODELS[options.model]
    with Emitter() as out:
        emit_ceilings(out, out.world * options.threads, "peak_fp32")
        with gloo(out):
            torch.manual_seed(1)
            model = science.network()
            ddp = DistributedDataParallel(model)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
            batch = science.samples(1, range(samples))

            def step() -> float:
                optimizer.zero_grad()
                loss = science.loss(ddp(*batch.inputs), batch.labels)
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
            out.metric(f"{options.model}_train", flops / seconds / 1e9, "GFLOP/s")
            out.info("samples/s", samples * out.world / seconds)


if __name__ == "__main__":
    main()
