"""Cross entropy doesn't smooth its targets."""

import torch

whole = torch.nn.functional.cross_entropy


def cross_entropy(*args, label_smoothing=0.0, **others):
    del label_smoothing
    return whole(*args, **others)


torch.nn.functional.cross_entropy = cross_entropy
