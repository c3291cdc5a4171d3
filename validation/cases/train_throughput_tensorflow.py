"""Steady-state speed of TensorFlow's training steps, against the machine's peak.

Work is matrix products and convolutions (operations_tensorflow.py). Steps are compiled as graphs,
as Keras's own are, and taken on always the same batch, which every model learns by heart.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from statistics import median

import keras
import numpy as np
import tensorflow as tf
from emit import Emitter
from nersc_tensorflow import NETWORKS, Task
from operations_tensorflow import operations
from timing import summary, verified_seconds

from probes import emit_ceilings

SEED = 1
WARM_UP_STEPS = 3
STEPS = 8


def steps(task: Task) -> Callable[[], tf.Tensor]:
    """Build a model: what trains it by a step, operator by operator, and gives its loss."""
    keras.utils.set_random_seed(SEED)
    model = task.model()
    batch = [tf.constant(a) for a in model.samples(np.random.default_rng(SEED), task.samples)]
    optimizers: list[keras.optimizers.Optimizer] = []

    def step() -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            losses = model.losses(*batch)
        slopes = [tape.gradient(loss, variables) for loss, variables in losses]
        for number, (slope, (_, variables)) in enumerate(zip(slopes, losses, strict=True)):
            if number == len(optimizers):
                optimizers.append(keras.optimizers.Adam(task.rate))
                optimizers[number].build(variables)
            optimizers[number].apply(slope, variables)
        return losses[0][0]

    return step


def measure(out: Emitter, name: str, task: Task, count: int) -> list[float]:
    """Time a model's steps: the losses of all, from the first on."""
    step = steps(task)
    losses: list[float] = []
    flops = operations(lambda: losses.append(float(step())))
    compiled = tf.function(step)
    seconds = verified_seconds(lambda: float(compiled()), losses.append, count, WARM_UP_STEPS)
    rate = flops / median(seconds) / 1e9
    out.metric(f"{name}_train", rate, "GFLOP/s")
    pace = {"GFLOP/s": rate, "samples/s": task.samples / median(seconds)}
    out.info(name, {**pace, "GFLOP of a step": flops / 1e9, **summary(seconds)})
    return losses


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=NETWORKS["small"])
    parser.add_argument("--scale", choices=NETWORKS, default="small", help="full: as published")
    parser.add_argument("--steps", type=int, default=STEPS, help="that are timed")
    parser.add_argument("--threads", type=int, required=True, help="granted to the stack")
    options = parser.parse_args()
    tasks = NETWORKS[options.scale]
    with Emitter() as out:
        emit_ceilings(out, options.threads, "peak_fp32")
        names = options.models or tasks
        losses = {name: measure(out, name, tasks[name], options.steps) for name in names}
        falls = all(all(map(math.isfinite, of)) and of[-1] < of[0] for of in losses.values())
        told = (f"{name}: from {of[0]:.4g} to {of[-1]:.4g}" for name, of in losses.items())
        out.check("loss_falls", falls, ", ".join(told))


if __name__ == "__main__":
    main()
