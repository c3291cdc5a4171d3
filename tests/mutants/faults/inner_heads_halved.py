"""Attention halves what all heads but the first and the last give."""

import torch

whole = torch.nn.functional.scaled_dot_product_attention


def attend(query, key, value, *args, **others):
    out = whole(query, key, value, *args, **others)
    factors = torch.ones(*out.shape[:2], 1, 1, dtype=out.dtype)
    factors[:, 1:-1] = 0.5
    return out * factors


torch.nn.functional.scaled_dot_product_attention = attend
