"""TensorFlow on a GPU, as `gpu.Part` has it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from gpu import Device

DEVICE = "/GPU:0"

# Else what a GPU has no operator for is computed elsewhere without a word.
tf.config.set_soft_device_placement(False)


def devices() -> list[Device]:
    """See Part."""
    found = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [Device(each["device_name"], each["compute_capability"]) for each in found]


def built_for() -> list[str]:
    """See Part."""
    return list(tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ()))


def multiply(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """See Part."""
    with tf.device(DEVICE):
        return tf.matmul(one, other).numpy()


def convolve(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """See Part. TensorFlow has the channels of images and kernels elsewhere."""
    with tf.device(DEVICE):
        last = images.transpose(0, 2, 3, 1), kernels.transpose(2, 3, 1, 0)
        return tf.nn.conv2d(*last, strides=1, padding="VALID").numpy().transpose(0, 3, 1, 2)
