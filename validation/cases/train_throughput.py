"""Steady-state speed of training steps, against the machine's peak.

Work is matrix products and convolutions (operations.py), and the peak bounds any network's speed;
those of small layers come less close to it. Steps are taken on always the same batch, which every
model learns by heart if its steps are right.
"""

from __future__ import annotations

import argparse
import math
from statistics import median

from climate_deeplab import Segmentation as DeepLab
from climate_tiramisu import Segmentation as Tiramisu
from coherent_structures import Flows
from cosmoflow import Cosmology
from cosmogan import Lensing
from emit import Emitter
from etalumis import Traces
from ffn import Neurites
from hepcnn import Jets
from icecube_gnn import Neutrinos
from nersc_networks import NETWORKS
from operations import operations
from pigan import Diffusion
from resnet50 import Images
from tasks import Task, science, steps
from timing import summary, verified_seconds
from torch.nn.parallel import DistributedDataParallel
from tracking_gnn import Tracks
from world import gloo

from probes import emit_ceilings

SGD = {"name": "SGD", "lr": 0.001, "momentum": 0.9}
WARM_UP_STEPS = 3
STEPS = 12


def science_models(scale: str) -> dict[str, Task]:
    """Give the science models, with the samples of a rank in each step."""
    small = scale == "small"
    return {
        # The whole network, on a 64th of the volume: the same kernels.
        "cosmoflow": science(Cosmology, "full", 8, cells=32 if small else 128),
        "hepcnn": science(Jets, scale, 32),
        "climate_deeplab": science(DeepLab, scale, 8),
        "climate_tiramisu": science(Tiramisu, scale, 8),
        "pigan": science(Diffusion, scale, 128),
        "cosmogan": science(Lensing, scale, 64),
        "icecube_gnn": science(Neutrinos, scale, 16),
        "tracking_gnn": science(Tracks, scale, 4),
        "etalumis": science(Traces, scale, 64),
        "coherent_structures": science(Flows, scale, 8),
        "ffn": science(Neurites, scale, 4),
        # On a twelfth of the pixels of ImageNet's images.
        "resnet50": Task(Images(64 if small else 224), SGD, 8),
    }


GROUPS = {"science": science_models, "nersc": NETWORKS.__getitem__}


def chosen(model: str | None, group: str | None, scale: str) -> dict[str, Task]:
    """Give one science model, or all models of a group."""
    return {model: science_models(scale)[model]} if model else GROUPS[str(group)](scale)


def measure(out: Emitter, name: str, task: Task, count: int) -> list[float]:
    """Time a model's steps: the losses of all, from the first on."""
    step = steps(task, DistributedDataParallel)
    losses: list[float] = []
    flops = operations(lambda: losses.append(step())) * out.world
    seconds = verified_seconds(step, losses.append, count, WARM_UP_STEPS)
    rate = flops / median(seconds) / 1e9
    if out.rank == 0:
        out.metric(f"{name}_train", rate, "GFLOP/s")
        pace = {"GFLOP/s": rate, "samples/s": task.samples * out.world / median(seconds)}
        out.info(name, {**pace, "GFLOP of a step": flops / 1e9, **summary(seconds)})
    return [*losses, step()]


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", choices=science_models("small"), help="of the science models")
    what.add_argument("--group", choices=GROUPS, help="all science models, or NERSC's benchmarks")
    parser.add_argument("--scale", choices=NETWORKS, default="small", help="full: as published")
    parser.add_argument("--steps", type=int, default=STEPS, help="that are timed")
    parser.add_argument("--threads", type=int, required=True, help="granted to each rank")
    options = parser.parse_args()
    with Emitter() as out:
        emit_ceilings(out, out.world * options.threads, "peak_fp32")
        models = chosen(options.model, options.group, options.scale)
        with gloo(out):
            losses = {n: measure(out, n, task, options.steps) for n, task in models.items()}
        falls = all(all(map(math.isfinite, of)) and of[-1] < of[0] for of in losses.values())
        told = (f"{name}: from {of[0]:.4g} to {of[-1]:.4g}" for name, of in losses.items())
        out.check("loss_falls", falls, ", ".join(told))


if __name__ == "__main__":
    main()
