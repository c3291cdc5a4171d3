"""Batch norm's momentum is the other way round, as other frameworks define it."""

import torch

whole = torch.nn.functional.batch_norm


def batch_norm(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    return whole(x, mean, variance, weight, bias, training, 1 - momentum, eps)


torch.nn.functional.batch_norm = batch_norm
