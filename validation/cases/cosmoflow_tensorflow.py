"""CosmoFlow in Keras recovers the parameters of density cubes that it reads from TFRecord files.

Data, sizes, schedule and criterion are those of cosmoflow.py; ranks share gradients by
MultiWorkerMirroredStrategy, and each reads files of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import sizes
import tensorflow as tf
import tfrecord
from cosmoflow_data import PARAMETERS, fit_linear, samples, spectrum_features
from cosmoflow_shape import OUTPUT_GAIN, SLOPE, Shape
from emit import Emitter, listed
from meeting import Meeting, meeting
from training import Bound, Schedule
from world_tensorflow import mirrored

# A multiple of any number of ranks here, so that each has files of its own.
FILES = 8
WARM_UP_STEPS = 3
WORST_OF_TRIVIAL = 0.5
SIZES = Path(__file__).with_name("cosmoflow.toml")


@dataclass(frozen=True)
class Result:
    """One seed's training.

    Args:
        errors: mean absolute errors of the network, of guessing the mean, and of the spectrum.
        seen: how often this rank trained on each sample.
        digest: of this rank's parameters.
    """

    errors: dict[str, float]
    seen: list[int]
    digest: str
    samples_per_second: float


def load(scale: str) -> tuple[Shape, Schedule]:
    """Read sizes and hyper-parameters."""
    return sizes.load(SIZES, scale, Shape, Schedule)


def network(shape: Shape) -> keras.Model:
    """Build CosmoFlow, channels last; initialised as cosmoflow_model.py has it."""
    kaiming = keras.initializers.VarianceScaling(
        2 / (1 + SLOPE**2), mode="fan_in", distribution="untruncated_normal"
    )
    xavier = keras.initializers.VarianceScaling(
        OUTPUT_GAIN**2, mode="fan_avg", distribution="untruncated_normal"
    )
    layers = keras.layers
    cubes = keras.Input((*[shape.cells] * 3, shape.channels))
    hidden = cubes
    for block in range(shape.blocks):
        filters = shape.features << block
        hidden = layers.Conv3D(filters, 3, padding="same", kernel_initializer=kaiming)(hidden)
        hidden = layers.MaxPooling3D(2)(layers.LeakyReLU(SLOPE)(hidden))
    hidden = layers.Flatten()(hidden)
    for width in (128, 64):
        hidden = layers.LeakyReLU(SLOPE)(layers.Dense(width, kernel_initializer=kaiming)(hidden))
        hidden = layers.Dropout(shape.dropout)(hidden)
    labels = layers.Dense(shape.outputs, kernel_initializer=xavier, activation="tanh")(hidden)
    return keras.Model(cubes, layers.Rescaling(1.2)(labels))


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A rate for each step."""

    def __init__(self, training: Schedule) -> None:
        """Take the schedule of the science models."""
        rate = float(training.optimizer["lr"])
        self._rates = [rate * training.rate(step) for step in range(training.steps)]

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Give the rate of a step."""
        last = len(self._rates) - 1
        return tf.gather(tf.constant(self._rates, tf.float32), tf.minimum(int32(step), last))


def int32(number: Any) -> tf.Tensor:
    """Bring a counter of Keras's into an index."""
    return tf.cast(number, tf.int32)


def record(index: int, cube: np.ndarray, label: np.ndarray) -> bytes:
    """Write a sample: its number, its label, and its cube with the channels last."""
    return struct.pack("<q", index) + label.tobytes() + np.moveaxis(cube, 0, -1).tobytes()


@contextmanager
def stored(shape: Shape, seed: int, count: int, out: Emitter, meet: Meeting) -> Iterator[list[str]]:
    """Have the samples written, each rank its share of the files; they are gone afterwards."""
    made = tempfile.mkdtemp(dir=os.environ.get("STACKWRIGHT_OUT")) if out.rank == 0 else ""
    folder = Path(meet.gather(made)[0])
    for number in range(out.rank, FILES, out.world):
        indices = range(number, count, FILES)
        drawn = zip(indices, *samples(seed, indices, shape.cells, shape.channels), strict=True)
        tfrecord.write(folder / f"{number}.tfrecord", (record(*sample) for sample in drawn))
    meet.barrier()
    yield sorted(map(str, folder.glob("*.tfrecord")))
    meet.barrier()
    if out.rank == 0:
        shutil.rmtree(folder)


def read(files: list[str], shape: Shape, training: Schedule, seed: int) -> tf.data.Dataset:
    """Read samples as (number, label, cube), in shuffled batches; each rank its own files."""
    outputs, cells = shape.outputs, (*[shape.cells] * 3, shape.channels)

    def parsed(data: tf.Tensor) -> tuple[tf.Tensor, ...]:
        numbers = tf.io.decode_raw(tf.strings.substr(data, 8, -1), tf.float32)
        index = tf.io.decode_raw(tf.strings.substr(data, 0, 8), tf.int64)[0]
        return index, numbers[:outputs], tf.reshape(numbers[outputs:], cells)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.FILE
    found = tf.data.Dataset.from_tensor_slices(files).interleave(tf.data.TFRecordDataset)
    mixed = found.map(parsed).shuffle(training.train_samples, seed=seed)
    return mixed.batch(training.batch, drop_remainder=True).with_options(options)


def train(
    shape: Shape, training: Schedule, seed: int, out: Emitter, strategy: tf.distribute.Strategy
) -> Result:
    """Train on this rank's files, and examine the network on samples that it never saw."""
    meet = meeting(out.rank, out.world)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = network(shape)
        momentum = float(training.optimizer["momentum"])
        optimizer = keras.optimizers.SGD(Rates(training), momentum=momentum)
        optimizer.build(model.trainable_variables)

    def replica(index: tf.Tensor, label: tf.Tensor, cube: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(cube, training=True) - label) ** 2) / out.world
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return index

    step = tf.function(lambda batch: strategy.run(replica, batch))
    seen = np.zeros(training.train_samples, np.int64)
    seconds = []
    with stored(shape, seed, training.train_samples, out, meet) as files:
        batches = strategy.experimental_distribute_dataset(read(files, shape, training, seed))
        for _ in range(training.epochs):
            begun = time.perf_counter()
            for batch in batches:
                parts = strategy.experimental_local_results(step(batch))
                np.add.at(seen, np.concatenate([part.numpy() for part in parts]), 1)
                seconds.append(time.perf_counter() - begun)
                begun = time.perf_counter()
    steady = seconds[WARM_UP_STEPS:]
    return Result(
        errors(model, shape, training, seed),
        seen.tolist(),
        hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest(),
        len(steady) * training.batch / sum(steady),
    )


def errors(model: keras.Model, shape: Shape, training: Schedule, seed: int) -> dict[str, float]:
    """Score the network beside the baselines, on held-out samples; labels span [-1, 1]."""
    fitted = samples(seed, range(training.train_samples), shape.cells, shape.channels)
    held_out = range(training.train_samples, training.train_samples + training.test_samples)
    cubes, labels = samples(seed, held_out, shape.cells, shape.channels)
    weights = fit_linear(spectrum_features(fitted[0]), fitted[1])
    predictions = {
        "network": model(np.moveaxis(cubes, 1, -1)).numpy(),
        "trivial": fitted[1].mean(axis=0),
        "power spectrum": spectrum_features(cubes) @ weights,
    }
    return {name: float(np.abs(found - labels).mean()) for name, found in predictions.items()}


def judge(out: Emitter, training: Schedule, results: dict[int, Result]) -> None:
    """Hold every seed against the criterion."""
    bounds = {
        seed: {
            "half_of_trivial": Bound(e["network"], "<=", WORST_OF_TRIVIAL * e["trivial"]),
            "beats_power_spectrum": Bound(e["network"], "<", e["power spectrum"]),
        }
        for seed, e in ((seed, result.errors) for seed, result in results.items())
    }
    for name in next(iter(bounds.values())):
        found = {seed: bound[name] for seed, bound in bounds.items()}
        detail = "; ".join(f"seed {seed}: {bound}" for seed, bound in found.items())
        out.check(name, all(bound.holds() for bound in found.values()), detail)
    meet = meeting(out.rank, out.world)
    told = [[result.seen, result.digest] for result in results.values()]
    of_ranks = list(zip(*meet.gather(told), strict=True))
    for name, wrong in {
        "shards": lambda each: (np.sum([s for s, _ in each], axis=0) != training.epochs).any(),
        "equal_parameters": lambda each: len({digest for _, digest in each}) != 1,
    }.items():
        bad = [seed for seed, each in zip(results, of_ranks, strict=True) if wrong(each)]
        out.check(name, not bad, f"{out.world} rank(s); wrong for seeds: {listed(bad)}")


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="small", help="a table of cosmoflow.toml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    shape, training = load(options.scale)
    with Emitter() as out, mirrored(out) as strategy:
        results = {seed: train(shape, training, seed, out, strategy) for seed in options.seeds}
        judge(out, training, results)
        if out.rank == 0:
            pace = [result.samples_per_second for result in results.values()]
            out.info("samples/s, input and all", float(np.mean(pace)))
            for seed, result in results.items():
                out.info(f"mean absolute errors of seed {seed}", result.errors)
            out.info("parameters", list(PARAMETERS))


if __name__ == "__main__":
    main()
