"""What the second of two threads computes of a matrix product is a hundredth too large."""

import torch

whole = torch.mm


def mm(a, b, out):
    whole(a, b, out=out)
    out[len(out) // 2 :] *= 1.01
    return out


torch.mm = mm
