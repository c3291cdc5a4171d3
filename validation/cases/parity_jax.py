"""The network of layers_numpy.py, by JAX's operators and Flax's layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array, lax
from layers_numpy import EPSILON, FILTERS, Arrays

jax.config.update("jax_enable_x64", True)


def compute(p: Arrays, images: np.ndarray, classes: np.ndarray) -> tuple[Arrays, Arrays]:
    """See `parity.Part`."""
    norm = {"epsilon": EPSILON, "dtype": images.dtype, "use_fast_variance": False}
    batch_norm = nn.BatchNorm(use_running_average=False, axis=1, **norm)
    layer_norm = nn.LayerNorm(**norm)

    def network(w: dict[str, Array]) -> tuple[Array, Array]:
        def affine(kind: str) -> dict[str, dict[str, Array]]:
            return {"params": {"scale": w[f"{kind}_scale"], "bias": w[f"{kind}_shift"]}}

        convolved = lax.conv_general_dilated(images, w["kernel"], (1, 1), "SAME")
        scaled, _ = batch_norm.apply(affine("batch"), convolved, mutable=["batch_stats"])
        positive = nn.relu(scaled)
        window = (1, 1, 2, 2)
        pooled = lax.reduce_window(positive, -jnp.inf, lax.max, window, window, "VALID")
        tokens = pooled.reshape(*pooled.shape[:2], -1).transpose(0, 2, 1)
        # Not jax.nn.dot_product_attention, which rounds its weights to float32.
        query, key, value = (tokens @ w[name] for name in ("query", "key", "value"))
        weights = jax.nn.softmax(query @ key.transpose(0, 2, 1) / FILTERS**0.5)
        hidden = layer_norm.apply(affine("layer"), tokens + weights @ value)
        logits = jnp.tanh(hidden).reshape(len(images), -1) @ w["dense"] + w["dense_bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, classes)
        return losses.mean(), logits

    (loss, logits), gradient = jax.jit(jax.value_and_grad(network, has_aux=True))(p)
    outputs = {"logits": np.asarray(logits), "loss": np.asarray(loss)}
    return outputs, {name: np.asarray(array) for name, array in gradient.items()}
