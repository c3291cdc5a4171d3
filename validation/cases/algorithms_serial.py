"""What the distributed algorithms should compute: their definitions, on one process, in NumPy.

Nothing here is shared with the algorithms under test, not even the gradient, which is written out.
The model is a small regression, targets ~ tanh(inputs W) V + b. All of its weights are one array:
W, V and b, a layer after the other; b begins as zero, as biases do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

INPUTS, HIDDEN, OUTPUTS = 6, 5, 2
SHAPES = ((INPUTS, HIDDEN), (HIDDEN, OUTPUTS), (OUTPUTS,))
LAYERS = tuple(int(np.prod(shape)) for shape in SHAPES)
SAMPLES = 8

Step = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


def initial_weights() -> np.ndarray:
    """Make the weights that all ranks start from, float64."""
    weights = np.random.default_rng(3).standard_normal(sum(LAYERS)) / 2
    weights[-OUTPUTS:] = 0
    return weights


def shard(step: int, rank: int, samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Make the inputs and targets of one rank in one step: (samples, INPUTS or OUTPUTS)."""
    generator = np.random.default_rng([5, step, rank])
    inputs = generator.standard_normal((samples, INPUTS))
    return inputs, generator.standard_normal((samples, OUTPUTS)) + rank


def layers(weights: np.ndarray) -> list[np.ndarray]:
    """Cut the weights, or a gradient, into layers of one dimension."""
    return np.split(weights, np.cumsum(LAYERS)[:-1])


def gradient(weights: np.ndarray, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give the gradient of the squared error, summed over outputs and averaged over samples."""
    first, second, bias = (
        layer.reshape(shape) for layer, shape in zip(layers(weights), SHAPES, strict=True)
    )
    hidden = np.tanh(inputs @ first)
    slope = 2 * (hidden @ second + bias - targets) / len(inputs)
    inner = slope @ second.T * (1 - hidden**2)
    parts = (inputs.T @ inner, hidden.T @ slope, slope.sum(axis=0))
    return np.concatenate([part.ravel() for part in parts])


def batch(step: int, samples: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Join the shards of all ranks, of so many samples each."""
    shards = [shard(step, rank, count) for rank, count in enumerate(samples)]
    return np.concatenate([x for x, _ in shards]), np.concatenate([y for _, y in shards])


def full_gradient(weights: np.ndarray, step: int, world: int) -> np.ndarray:
    """Give the gradient over the samples of all ranks."""
    return gradient(weights, *batch(step, [SAMPLES] * world))


def train(step_of_layer: Step, steps: int, world: int) -> np.ndarray:
    """Train on the whole batch with an optimizer that treats each layer by itself.

    Args:
        step_of_layer: takes the layer's number, weights and gradient; gives its weights after.
        steps: how many to take.
        world: number of ranks.
    """
    weights = initial_weights()
    for step in range(steps):
        slopes = layers(full_gradient(weights, step, world))
        pairs = enumerate(zip(layers(weights), slopes, strict=True))
        weights = np.concatenate([step_of_layer(number, w, g) for number, (w, g) in pairs])
    return weights


def delayed_sgd(steps: int, world: int, rate: float, lag: int) -> np.ndarray:
    """Train with SGD whose gradients are those of the weights and batch of `lag` steps before."""
    history = [initial_weights()]
    for step in range(steps):
        then = step - lag
        update = rate * full_gradient(history[then], then, world) if then >= 0 else 0.0
        history.append(history[-1] - update)
    return history[-1]


def larc(rate: float, trust: float, decay: float) -> Step:
    """Give LARC's step; see algorithms.larc_step."""

    def step(_: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        size, slope = np.sqrt(np.sum(w**2)), np.sqrt(np.sum(g**2))
        local = trust * size / (slope + decay * size)
        if local > rate or size == 0:
            local = rate
        return w - local * (g + decay * w)

    return step


def lamb(rate: float, betas: tuple[float, float], epsilon: float, decay: float) -> Step:
    """Give LAMB's step; see algorithms.lamb_step.

    The moments are those of the definition: sums over all gradients so far, weighted by age.
    """
    past: dict[int, list[np.ndarray]] = {}

    def mean(powers: list[np.ndarray], beta: float) -> np.ndarray:
        ages = np.arange(len(powers))[::-1]
        return np.average(powers, axis=0, weights=beta**ages)

    def step(number: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        seen = past.setdefault(number, [])
        seen.append(g)
        spread = np.sqrt(mean([each**2 for each in seen], betas[1]))
        update = mean(seen, betas[0]) / (spread + epsilon) + decay * w
        size, length = np.sqrt(np.sum(w**2)), np.sqrt(np.sum(update**2))
        return w - rate * (size / length if size else 1.0) * update

    return step


def dc_s3gd(
    steps: int, world: int, rate: float, momentum: float, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate all ranks of DC-S3GD; see stale_gradients.DelayCompensatedSgd.

    Returns:
        The weights of each rank after the last step, (world, n), and those they agree on, (n,).
    """
    weights = np.tile(initial_weights(), (world, 1))
    updates, velocities = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(steps):
        distances = updates.mean(axis=0) - updates
        slopes = np.array([gradient(w, *shard(step, r)) for r, w in enumerate(weights)])
        corrections = slopes**2 * distances
        lengths = np.sqrt(np.sum(corrections**2, axis=1, keepdims=True))
        scale = strength * np.sqrt(np.sum(slopes**2, axis=1, keepdims=True))
        # The first step, and a lone rank, have no distance to correct for.
        corrections = np.divide(corrections, lengths, out=corrections, where=lengths > 0)
        velocities = momentum * velocities + slopes + scale * corrections
        updates = -rate * velocities
        weights = weights + distances + updates
    return weights, weights[0] + updates.mean(axis=0) - updates[0]


def compression_bound(ranks: np.ndarray, unit: float, tiny: float) -> np.ndarray:
    """Bound the error of algorithms.compressed_mean; it says where the terms come from.

    Args:
        ranks: the gradients of all ranks, (world, n).
        unit: the format's unit roundoff.
        tiny: half of its smallest positive number; the scale moves the largest gradient to 2^14 at
            least.
    """
    factor = 2 * unit + unit**2 + 2 * len(ranks) * 2.0**-24
    bound: np.ndarray = factor * np.abs(ranks).mean(axis=0) + 3 * tiny * np.abs(ranks).max() / 2**14
    return bound
