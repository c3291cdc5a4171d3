"""The network of branches.py in JAX, trained over a mesh of one device a rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from branches import CHANNELS, EPSILON, Arrays, batch_of, shapes
from emit import Emitter
from gradients import (
    EPOCHS,
    MOMENTUM,
    SAMPLES_PER_RANK,
    SEED,
    STEPS,
    WARM_UP,
    own_seed,
    rates,
    share,
    uses_second,
)
from jax import Array, lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Parts
from world_jax import AXIS, clustered

Tree = dict[str, Array]

jax.config.update("jax_enable_x64", True)


def forward(p: Tree, batch: Array, second: Array) -> Array:
    """Map (samples, FEATURES) to (samples,)."""
    convolved = lax.conv_general_dilated(batch[:, None], p["kernel"][:, None], (1,), "SAME")
    flat = jnp.tanh(convolved + p["bias"][:, None]).reshape(len(batch), -1)
    normal = jax.nn.standardize(flat, axis=1, epsilon=EPSILON)
    hidden = normal * p["scale"] + p["shift"]
    first = hidden @ p["first"] + p["first_bias"]
    return first + second * (hidden @ p["second"] + p["second_bias"])


def loss(p: Tree, batch: Array, target: Array, second: Array) -> Array:
    """Give the mean squared error."""
    return jnp.mean((forward(p, batch, second) - target) ** 2)


def drawn(dtype: str, channels: int, seed: int) -> Arrays:
    """Draw parameters on this rank alone: all at once, as each size is compiled."""
    wanted = shapes(channels)
    sizes = [math.prod(shape) for shape in wanted.values()]
    every = 0.3 * np.asarray(jax.random.normal(jax.random.key(seed), sum(sizes), dtype))
    parts = np.split(every, np.cumsum(sizes)[:-1])
    return {name: part.reshape(wanted[name]) for name, part in zip(wanted, parts, strict=True)}


def schedule(world: int) -> optax.Schedule:
    """Give what `gradients.rates` lists, as JAX's users write it."""
    peak = max(rates(world))
    # From zero on: by quarters, which float32 holds. By thirds it would round each rate.
    warm_up = optax.linear_schedule(0.0, peak, WARM_UP)
    return optax.join_schedules(
        [lambda step: warm_up(step + 1), optax.constant_schedule(peak / 2)], [WARM_UP]
    )


@cache
def mean_gradient(mesh: Mesh, micro_batches: int) -> Callable[..., Tree]:
    """Compile what accumulates each device's own gradient, and takes the mean over all."""

    def own(p: Tree, *shard: Array) -> Tree:
        p = jax.tree.map(lambda x: lax.pcast(x, AXIS, to="varying"), p)

        def add(total: Tree, piece: tuple[Array, ...]) -> tuple[Tree, None]:
            return jax.tree.map(jnp.add, total, jax.grad(loss)(p, *piece)), None

        pieces = [x.reshape(micro_batches, -1, *x.shape[1:]) for x in shard]
        total, _ = lax.scan(add, jax.tree.map(jnp.zeros_like, p), pieces)
        return lax.pmean(jax.tree.map(lambda x: x / micro_batches, total), AXIS)

    together = jax.shard_map(
        own, mesh=mesh, in_specs=(Parts(), *[Parts(AXIS)] * 3), out_specs=Parts()
    )
    return jax.jit(together)


class Meshed:
    """Training over a mesh; see `gradients.Trainer`."""

    rate_in_velocity = False
    uneven = False

    def __init__(self, out: Emitter, mesh: Mesh) -> None:
        """Take this rank's shard of the batch."""
        self._rank, self._world = out.rank, out.world
        self._mesh = mesh
        scheduled = optax.inject_hyperparams(optax.sgd)
        self._optimizer = scheduled(schedule(out.world), momentum=MOMENTUM)
        self._step = jax.jit(self._next)

    def _next(
        self, p: Tree, state: optax.OptState, batch: list[Array]
    ) -> tuple[Tree, optax.OptState]:
        """Take a step."""
        changes, state = self._optimizer.update(jax.grad(loss)(p, *batch), state, p)
        return optax.apply_updates(p, changes), state

    def initial(self, dtype: str, channels: int = CHANNELS) -> Arrays:
        """See Trainer."""
        return drawn(dtype, channels, SEED)

    def gradients(
        self,
        dtype: str,
        *,
        partly: bool = False,
        micro_batches: int = 1,
        channels: int = CHANNELS,
    ) -> Arrays:
        """See Trainer."""
        p = self._everywhere(self.initial(dtype, channels))
        return arrays(mean_gradient(self._mesh, micro_batches)(p, *self._batch(dtype, partly)))

    def handed_out(self) -> dict[str, tuple[Arrays, Arrays]]:
        """See Trainer: JAX hands out what it is told to."""
        own = drawn("float32", CHANNELS, own_seed(self._rank))
        got = multihost_utils.broadcast_one_to_all(own)
        return {"parameters": (own, {name: np.asarray(array) for name, array in got.items()})}

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer. The compiler shares gradients, as the batch lies over all devices."""
        initial, batch = self.initial(dtype), self._batch(dtype, partly=False)
        p, state = self._everywhere(initial), self._everywhere(self._optimizer.init(initial))
        used = []
        for _ in range(STEPS):
            p, state = self._step(p, state, batch)
            used.append(float(state.hyperparams["learning_rate"]))
        return arrays(p), used

    def shards(self, count: int) -> list[list[int]]:
        """See Trainer: which elements of an array that lies over all devices are asked of this."""
        epochs = []
        for epoch in range(EPOCHS):
            key = jax.random.fold_in(jax.random.key(SEED), epoch)
            order = np.asarray(jax.random.permutation(key, count))
            asked: list[int] = []

            def numbers(
                index: tuple[slice, ...], order: np.ndarray = order, asked: list[int] = asked
            ) -> np.ndarray:
                asked.extend(order[index].tolist())
                return order[index]

            jax.make_array_from_callback((count,), self._over(Parts(AXIS)), numbers)
            epochs.append(asked)
        return epochs

    def _everywhere(self, tree: Any) -> Any:
        """Lay a tree of arrays, the same on each rank, onto all devices."""
        whole = self._over(Parts())
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(whole, np.asarray(x)), tree
        )

    def _batch(self, dtype: str, partly: bool) -> list[Array]:
        """Lay samples, targets and which head they use over the devices, each rank its shard."""
        count = SAMPLES_PER_RANK * self._world
        whole = (*batch_of(count), uses_second(self._world, partly))
        return [
            jax.make_array_from_process_local_data(
                self._over(Parts(AXIS)), share(array, self._rank).astype(dtype), array.shape
            )
            for array in whole
        ]

    def _over(self, parts: Parts) -> NamedSharding:
        return NamedSharding(self._mesh, parts)


def arrays(tree: Tree) -> Arrays:
    """Copy this rank's values of arrays that are the same on all devices."""
    return {name: np.asarray(array.addressable_data(0)) for name, array in tree.items()}


@contextmanager
def trainer(out: Emitter) -> Iterator[Meshed]:
    """Join all ranks by jax.distributed."""
    with clustered(out) as mesh:
        yield Meshed(out, mesh)
