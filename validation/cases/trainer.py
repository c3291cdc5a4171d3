"""One small trainer for every science model: ranks, schedule, learning curve, speed, verdict."""

from __future__ import annotations

import argparse
import hashlib
import inspect
import math
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import energy
import numpy as np
import torch
import torch.distributed as dist
from convergence import crossing, geometric_mean, usual
from emit import Emitter, listed
from mllog import Log
from science import Reader, Science, Scores, Training, load, name_of, scales
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from world import gloo

# The first steps fill caches and pools: they count as time, not as speed.
WARM_UP_STEPS = 3
PART = 64


@dataclass(frozen=True)
class Result:
    """One seed's training; all but the times are the same on every rank.

    Args:
        samples: trained on until each evaluation, the first before training.
        seconds: in training steps until each evaluation.
        curve: the scores at each evaluation.
    """

    samples: list[int]
    seconds: list[float]
    curve: list[Scores]
    trivial: Scores
    classical: Scores
    shards: bool
    equal_parameters: bool
    samples_per_second: float
    steps: list[float]
    consumption: energy.Consumption
    pictures: dict[str, Any]

    def to_target(self, training: Training, metric: str) -> tuple[float, float]:
        """Give the samples and the seconds at which the target was reached."""
        scores = [score[metric] for score in self.curve]
        return (
            crossing(self.samples, scores, training.target),
            crossing(self.seconds, scores, training.target),
        )


def from_all(value: Any, world: int) -> list[Any]:
    """Give every rank's value, in the order of ranks, on every rank."""
    values: list[Any] = [None] * world
    dist.all_gather_object(values, value)
    return values


def digest(model: nn.Module) -> str:
    """Hash all parameters, bit by bit."""
    found = hashlib.sha256()
    for parameter in model.parameters():
        found.update(parameter.detach().numpy().tobytes())
    return found.hexdigest()


def rounded(value: Any) -> Any:
    """Give a picture with as many digits as can be seen."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


class Examination:
    """The held-out samples, shared between the ranks."""

    def __init__(self, science: Science, read: Reader, indices: Sequence[int], world: int) -> None:
        """Read this rank's share."""
        self._science, self._world = science, world
        self.batches = [read(indices[at : at + PART]) for at in range(0, len(indices), PART)]
        mine = np.concatenate([batch.labels.numpy() for batch in self.batches])
        self.labels = np.concatenate(from_all(mine, world))

    def score(self, predictions: np.ndarray) -> Scores:
        """Score predictions for all of them."""
        return self._science.score(predictions, self.labels)

    def network(self, model: nn.Module) -> np.ndarray:
        """Give a network's predictions."""
        model.eval()
        with torch.no_grad():
            mine = torch.cat([model(*batch.inputs) for batch in self.batches]).numpy()
        model.train()
        return np.concatenate(from_all(mine, self._world))

    def trivial(self, labels: np.ndarray) -> np.ndarray:
        """Give a guess that sees nothing."""
        guess = self._science.guess(labels)
        return np.broadcast_to(guess, (len(self.labels), *guess.shape))

    def classical(self, summaries: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the predictions of the baseline, fitted to the training samples."""
        mine = np.concatenate([self._science.summary(batch) for batch in self.batches])
        predict = self._science.fit(summaries, labels)
        return predict(np.concatenate(from_all(mine, self._world)))


def train(science: Science, training: Training, seed: int, out: Emitter) -> Result:
    """Train on this rank's share of every batch, from the same parameters on all ranks.

    Raises:
        ValueError: if the ranks cannot share a batch evenly.
    """
    log = Log(out, seed)
    hosts = from_all(platform.node(), out.world)
    log.describe(science, training, hosts)
    first_of_node = hosts.index(hosts[out.rank]) == out.rank
    counters = energy.node() if first_of_node else energy.Found([], [])
    log.start("init")
    log.start("staging")
    count = training.train_samples + training.test_samples
    with science.data(seed, count, out.rank, out.world) as read:
        log.stop("staging")
        return _train(science, training, log, read, counters)


def _train(
    science: Science, training: Training, log: Log, read: Reader, counters: energy.Found
) -> Result:
    seed, out = log.seed, log.out
    torch.manual_seed(seed)
    model = science.network()
    ddp = DistributedDataParallel(model)
    optimizer, schedule = training.start(model)
    log.stop("init")
    log.start("run")
    examination = Examination(science, read, training.held_out(out.rank, out.world), out.world)
    examined = training.examined()
    curve: dict[int, Scores] = {}

    def examine(step: int) -> np.ndarray:
        epoch = step / training.steps_per_epoch
        with log.interval("eval", epoch_num=epoch):
            predictions = examination.network(model)
            curve[step] = examination.score(predictions)
        log.score(science, curve[step], epoch)
        return predictions

    predictions = examine(0)
    seconds = [0.0]
    times_seen = torch.zeros(training.train_samples, dtype=torch.int64)
    first_epoch = []
    for_baseline = min(training.steps_per_epoch, science.baseline_samples // training.batch)
    meter = energy.Meter(counters)

    for step, share in enumerate(training.shares(seed, out.rank, out.world), 1):
        epoch, place = divmod(step - 1, training.steps_per_epoch)
        if place == 0:
            log.start("epoch", epoch_num=epoch + 1)
        begun = time.perf_counter()
        batch = read(share)
        optimizer.zero_grad()
        science.loss(ddp(*batch.inputs), batch.labels).backward()
        optimizer.step()
        schedule.step()
        seconds.append(time.perf_counter() - begun)
        meter.follow()
        times_seen[share] += 1
        if step <= for_baseline:
            first_epoch.append((science.summary(batch), batch.labels.numpy()))
        if step in examined:
            predictions = examine(step)
        if place + 1 == training.steps_per_epoch:
            log.stop("epoch", epoch_num=epoch + 1)
    nodes = [found for found in from_all(meter.stop(), out.world) if any(found)]
    scores = [score[science.metric] for score in curve.values()]
    reached = math.isfinite(crossing(list(curve), scores, training.target))
    log.stop("run", status="success" if reached else "aborted")

    summaries, labels = (
        np.concatenate(from_all(np.concatenate(part), out.world))
        for part in zip(*first_epoch, strict=True)
    )
    dist.all_reduce(times_seen)
    trivial, classical = examination.trivial(labels), examination.classical(summaries, labels)
    all_of_them = {
        name_of(type(science)): predictions,
        science.classical: classical,
        "trivial": trivial,
    }
    steady = seconds[1 + WARM_UP_STEPS :]
    return Result(
        samples=[step * training.batch for step in curve],
        seconds=np.cumsum(seconds)[list(curve)].tolist(),
        curve=list(curve.values()),
        trivial=examination.score(trivial),
        classical=examination.score(classical),
        shards=bool((times_seen == training.epochs).all()),
        equal_parameters=len(set(from_all(digest(model), out.world))) == 1,
        samples_per_second=len(steady) * training.batch / sum(steady),
        steps=steady,
        consumption=energy.Consumption(nodes, training.epochs * training.train_samples),
        pictures=science.pictures(model.eval(), examination.batches[0])
        | science.plots(all_of_them, examination.labels),
    )


def judge(out: Emitter, science: Science, training: Training, results: dict[int, Result]) -> None:
    """Hold every seed against the criterion, and all together against the usual pace."""
    bounds = {
        seed: science.criterion(result.curve[-1], result.trivial, result.classical)
        for seed, result in results.items()
    }
    for name in next(iter(bounds.values())):
        found = {seed: bound[name] for seed, bound in bounds.items()}
        detail = "; ".join(f"seed {seed}: {bound}" for seed, bound in found.items())
        out.check(name, all(bound.holds() for bound in found.values()), detail)
    for name in ("shards", "equal_parameters"):
        bad = [seed for seed, result in results.items() if not getattr(result, name)]
        out.check(name, not bad, f"{out.world} rank(s); wrong for seeds: {listed(bad)}")
    pace = {seed: r.to_target(training, science.metric) for seed, r in results.items()}
    mean = geometric_mean([samples for samples, _ in pace.values()])
    low, high = usual(training.reference, len(pace))
    reached = f"{science.metric} {training.target:g} after {mean:.0f} samples"
    usually = f"usually {low:.0f} to {high:.0f}"
    if not training.reference:
        name = name_of(type(science))
        usually = (
            f"and there is no reference yet: copy the 'samples to target' that `{name}.py"
            f" --seeds 11 12 13 14 15 16 17 18 19 20` reports to 'reference' in {name}.toml"
        )
    out.check("samples_to_target", low <= mean <= high, f"{reached}, {usually}")
    out.info("samples to target", [samples for samples, _ in pace.values()])
    out.info("seconds to target", [seconds for _, seconds in pace.values()])


def show(out: Emitter, science: Science, results: dict[int, Result]) -> None:
    """Draw the mean learning curve beside the baselines, and what the last seed learnt."""
    last = list(results.values())[-1]
    curve = np.mean([[s[science.metric] for s in r.curve] for r in results.values()], axis=0)
    lines = {
        "trivial": np.mean([r.trivial[science.metric] for r in results.values()]),
        science.classical: np.mean([r.classical[science.metric] for r in results.values()]),
    }
    out.series(
        "learning curve",
        xlabel="samples",
        ylabel=science.metric,
        x=last.samples,
        y={name_of(type(science)): curve}
        | {name: np.full(len(curve), level) for name, level in lines.items()},
    )
    for seed, result in results.items():
        scores = {"network": result.curve[-1], "trivial": result.trivial}
        scores[science.classical] = result.classical
        flat = {f"{who}: {name}": v for who, of in scores.items() for name, v in of.items()}
        out.info(f"scores of seed {seed}", flat)
    for name, picture in last.pictures.items():
        out.info(name, rounded(picture))


def run(
    out: Emitter, science: Science, training: Training, seeds: Sequence[int]
) -> dict[int, Result]:
    """Train once per seed, then judge.

    Raises:
        ValueError: if the ranks cannot share a batch evenly.
    """
    with gloo(out):
        results = {seed: train(science, training, seed, out) for seed in seeds}
        peak = from_all(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, out.world)
    if out.rank == 0:
        judge(out, science, training, results)
        show(out, science, results)
        out.info("samples/s", float(np.mean([r.samples_per_second for r in results.values()])))
        out.info("peak memory of a rank in MiB", max(peak))
        for name, fact in energy.facts([r.consumption for r in results.values()]).items():
            out.info(name, fact)
    return results


def main(kind: type[Science]) -> None:
    """Run a model's case."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(kind)))
    parser.add_argument("--scale", choices=scales(kind), default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", action="store_true", help="record the seconds of each step, too")
    options = parser.parse_args()
    with Emitter() as out:
        results = run(out, *load(kind, options.scale), options.seeds)
        if options.steps and out.rank == 0:
            for seed, result in results.items():
                out.info(f"steps of seed {seed}", result.steps)
