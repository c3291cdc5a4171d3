"""What the second of two threads computes of a convolution's gradient is a hundredth too large."""

import torch

whole = torch.autograd.grad


def grad(*args, **kwargs):
    found = whole(*args, **kwargs)
    *_, weight = found
    if weight.dim() > 3 and weight.dtype == torch.float32:
        weight[len(weight) // 2 :] *= 1.01
    return found


torch.autograd.grad = grad
