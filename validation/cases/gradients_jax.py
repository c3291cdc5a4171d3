"""The network of branches.py in JAX, trained over a mesh of one device a rank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import optax
from branches import EPSILON, HIDDEN, SHAPES, Arrays, batch_of
from emit import Emitter
from gradients import MOMENTUM, SAMPLES_PER_RANK, SEED, STEPS, WARM_UP, rates, share, uses_second
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Parts
from world_jax import AXIS, clustered

Tree = dict[str, Array]

jax.config.update("jax_enable_x64", True)


def forward(p: Tree, batch: Array, second: Array) -> Array:
    """Map (samples, FEATURES) to (samples,)."""
    convolved = lax.conv_general_dilated(batch[:, None], p["kernel"][:, None], (1,), "SAME")
    flat = jnp.tanh(convolved + p["bias"][:, None]).reshape(-1, HIDDEN)
    normal = jax.nn.standardize(flat, axis=1, epsilon=EPSILON)
    hidden = normal * p["scale"] + p["shift"]
    first = hidden @ p["first"] + p["first_bias"]
    return first + second * (hidden @ p["second"] + p["second_bias"])


def loss(p: Tree, batch: Array, target: Array, second: Array) -> Array:
    """Give the mean squared error."""
    return jnp.mean((forward(p, batch, second) - target) ** 2)


class Meshed:
    """Training over a mesh; see `gradients.Trainer`."""

    rate_in_velocity = False

    def __init__(self, out: Emitter, mesh: Mesh) -> None:
        """Take this rank's shard of the batch."""
        self._rank, self._world = out.rank, out.world
        self._mesh = mesh

    def initial(self, dtype: str) -> Arrays:
        """See Trainer."""
        keys = jax.random.split(jax.random.key(SEED), len(SHAPES))
        drawn = zip(SHAPES.items(), keys, strict=True)
        return {
            name: 0.3 * np.asarray(jax.random.normal(key, s, dtype)) for (name, s), key in drawn
        }

    def gradients(self, dtype: str, *, partly: bool = False, micro_batches: int = 1) -> Arrays:
        """See Trainer. Each device accumulates its own gradient, and then they take the mean."""

        def own(p: Tree, *shard: Array) -> Tree:
            p = jax.tree.map(lambda x: lax.pcast(x, AXIS, to="varying"), p)
            pieces = zip(*(jnp.split(array, micro_batches) for array in shard), strict=True)
            each = [jax.grad(loss)(p, *piece) for piece in pieces]
            mine = jax.tree.map(lambda *parts: sum(parts) / micro_batches, *each)
            return lax.pmean(mine, AXIS)

        together = jax.shard_map(
            own, mesh=self._mesh, in_specs=(Parts(), *[Parts(AXIS)] * 3), out_specs=Parts()
        )
        return arrays(jax.jit(together)(self._parameters(dtype), *self._batch(dtype, partly)))

    def train(self, dtype: str) -> tuple[Arrays, list[float]]:
        """See Trainer. The compiler shares gradients, as the batch lies over all devices."""
        peak = max(rates(self._world))
        schedule = optax.join_schedules(
            [
                optax.linear_schedule(peak / WARM_UP, peak, WARM_UP - 1),
                optax.constant_schedule(peak / 2),
            ],
            [WARM_UP],
        )
        optimizer = optax.inject_hyperparams(optax.sgd)(schedule, momentum=MOMENTUM)
        p, batch = self._parameters(dtype), self._batch(dtype, partly=False)
        state = jax.jit(optimizer.init)(p)

        @jax.jit
        def step(p: Tree, state: optax.OptState, batch: list[Array]) -> tuple[Tree, optax.OptState]:
            changes, state = optimizer.update(jax.grad(loss)(p, *batch), state, p)
            return optax.apply_updates(p, changes), state

        used = []
        for _ in range(STEPS):
            p, state = step(p, state, batch)
            used.append(float(state.hyperparams["learning_rate"]))
        return arrays(p), used

    def shard(self, count: int) -> list[int]:
        """See Trainer: which elements of an array that lies over all devices are asked of this."""
        asked: list[int] = []

        def numbers(index: tuple[slice, ...]) -> np.ndarray:
            found = np.arange(count)[index]
            asked.extend(found.tolist())
            return found

        jax.make_array_from_callback((count,), self._over(Parts(AXIS)), numbers)
        return asked

    def _parameters(self, dtype: str) -> Tree:
        """Lay the first parameters onto all devices."""
        everywhere = self._over(Parts())
        return {
            name: jax.make_array_from_process_local_data(everywhere, array)
            for name, array in self.initial(dtype).items()
        }

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
