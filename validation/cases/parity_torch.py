"""The network of layers_numpy.py, by PyTorch's layers."""

from __future__ import annotations

import numpy as np
import torch
from layers_numpy import EPSILON, FILTERS, Arrays
from torch.nn import functional


def compute(p: Arrays, images: np.ndarray, classes: np.ndarray) -> tuple[Arrays, Arrays]:
    """See `parity.Part`."""
    w = {name: torch.from_numpy(array).requires_grad_() for name, array in p.items()}
    convolved = functional.conv2d(torch.from_numpy(images), w["kernel"], padding=1)
    scaled = functional.batch_norm(
        convolved, None, None, w["batch_scale"], w["batch_shift"], training=True, eps=EPSILON
    )
    pooled = functional.max_pool2d(functional.relu(scaled), 2)
    tokens = pooled.flatten(2).transpose(1, 2)
    query, key, value = (tokens @ w[name] for name in ("query", "key", "value"))
    attended = tokens + functional.scaled_dot_product_attention(query, key, value)
    hidden = functional.layer_norm(
        attended, (FILTERS,), w["layer_scale"], w["layer_shift"], EPSILON
    )
    logits = torch.tanh(hidden).flatten(1) @ w["dense"] + w["dense_bias"]
    loss = functional.cross_entropy(logits, torch.from_numpy(classes))
    loss.backward()
    outputs = {"logits": logits.detach().numpy(), "loss": loss.detach().numpy()}
    return outputs, {name: tensor.grad.numpy() for name, tensor in w.items()}
