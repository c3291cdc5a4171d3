"""Horovod's modules for the framework of the case, which the command line names last."""

import importlib
import sys

FRAMEWORK = sys.orig_argv[-1]
NAMES = {
    "torch": ("horovod.torch", "horovod.torch"),
    "keras": ("horovod.tensorflow", "horovod.tensorflow.keras"),
}
collectives, optimizers = map(importlib.import_module, NAMES[FRAMEWORK])
WAYS = ((optimizers, "DistributedOptimizer"), (collectives, "DistributedGradientTape"))


def average_by(change):
    """Have `change` make each of Horovod's ways to average gradients: change(whole, **options)."""
    for module, name in WAYS:
        if whole := getattr(module, name, None):
            setattr(module, name, changed(whole, change))


def changed(whole, change):
    return lambda *args, **options: whole(*args, **change(**options))
