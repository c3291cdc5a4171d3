"""A training of JAX with Flax, Optax and Orbax that stops and resumes; see `resume.Training`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
from flax import linen as nn
from resume import DROPOUT, FEATURES, HALVES_EVERY, HIDDEN, MOMENTUM, RATE, batch_of

FOLDER = "checkpoint"


class Network(nn.Module):
    """Dense, batch norm, dropout and dense."""

    @nn.compact
    def __call__(self, batch: jax.Array) -> jax.Array:
        """Map (samples, FEATURES) to (samples, 1)."""
        hidden = nn.BatchNorm(use_running_average=False)(nn.Dense(HIDDEN, use_bias=False)(batch))
        return nn.Dense(1)(nn.Dropout(DROPOUT, deterministic=False)(nn.relu(hidden)))


NETWORK = Network()
SCHEDULE = optax.exponential_decay(RATE, HALVES_EVERY, 0.5, staircase=True)
OPTIMIZER = optax.inject_hyperparams(optax.sgd)(SCHEDULE, momentum=MOMENTUM)


@jax.jit
def train(state: Any, batch: jax.Array) -> Any:
    """Take a step: the next state."""
    key, drop = jax.random.split(state["key"])

    def loss(parameters: Any) -> Any:
        outputs, moved = NETWORK.apply(
            {"params": parameters, "batch_stats": state["statistics"]},
            batch,
            rngs={"dropout": drop},
            mutable=["batch_stats"],
        )
        return jnp.mean(outputs**2), moved["batch_stats"]

    slope, statistics = jax.grad(loss, has_aux=True)(state["parameters"])
    changes, optimizer = OPTIMIZER.update(slope, state["optimizer"], state["parameters"])
    parameters = optax.apply_updates(state["parameters"], changes)
    return {
        "parameters": parameters,
        "statistics": statistics,
        "optimizer": optimizer,
        "key": key,
    }


class Training:
    """All that a step changes is one tree of arrays."""

    def __init__(self, seed: int) -> None:
        """Build it. Dropout makes the random state matter."""
        first, dropout, key = jax.random.split(jax.random.key(seed), 3)
        variables = NETWORK.init({"params": first, "dropout": dropout}, jnp.ones((1, FEATURES)))
        self._state = {
            "parameters": variables["params"],
            "statistics": variables["batch_stats"],
            "optimizer": OPTIMIZER.init(variables["params"]),
            "key": key,
        }

    def run(self, steps: range) -> list[float]:
        """See Training."""
        used = []
        for step in steps:
            self._state = train(self._state, batch_of(step))
            used.append(float(self._state["optimizer"].hyperparams["learning_rate"]))
        return used

    def save(self, folder: Path) -> None:
        """See Training."""
        with orbax.checkpoint.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder / FOLDER, self._state)

    def load(self, folder: Path) -> None:
        """See Training."""
        with orbax.checkpoint.StandardCheckpointer() as checkpointer:
            self._state = checkpointer.restore(folder / FOLDER, self._state)

    def arrays(self) -> dict[str, np.ndarray]:
        """See Training."""
        tree = {name: self._state[name] for name in ("parameters", "statistics")}
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        return {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
            for path, leaf in leaves
        }


def start(seed: int) -> Training:
    """Begin with fresh parameters."""
    return Training(seed)
