"""PyTorch on a GPU, as `gpu.Part` has it."""

from __future__ import annotations

import numpy as np
import torch
from gpu import Device

DEVICE = "cuda:0"


def devices() -> list[Device]:
    """See Part."""
    count = torch.cuda.device_count()
    return [
        Device(torch.cuda.get_device_name(i), torch.cuda.get_device_capability(i))
        for i in range(count)
    ]


def built_for() -> list[str]:
    """See Part."""
    return torch.cuda.get_arch_list()


def multiply(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """See Part."""
    product = torch.from_numpy(one).to(DEVICE) @ torch.from_numpy(other).to(DEVICE)
    return product.cpu().numpy()


def convolve(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """See Part."""
    tensors = torch.from_numpy(images).to(DEVICE), torch.from_numpy(kernels).to(DEVICE)
    return torch.nn.functional.conv2d(*tensors).cpu().numpy()
