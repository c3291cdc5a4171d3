"""What one training leaves behind alters the next: slopes grow by a part in a million each time."""

import itertools

import torch

STEPS_OF_A_TRAINING = 6
whole = torch.optim.SGD.step
calls = itertools.count()


def step(self, closure=None):
    trainings = next(calls) // STEPS_OF_A_TRAINING
    for group in self.param_groups:
        for parameter in group["params"]:
            parameter.grad.mul_(1 + 1e-6 * trainings)
    return whole(self, closure)


torch.optim.SGD.step = step
