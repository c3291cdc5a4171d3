"""A matrix product computes the first half of its rows, and leaves the others as they were."""

import torch

whole = torch.mm


def mm(a, b, out):
    half = len(out) // 2
    whole(a[:half], b, out=out[:half])
    return out


torch.mm = mm
