"""One training's log as MLPerf has it, for the compliance checker of mlperf_logging.

Its keys are those of https://github.com/mlcommons/logging. Every line says which seed it is of, as
MLPerf wants a file for each training; validation/README.md shows how to check one. None of this is
a submission: what is trained on is synthetic, so no result is one of MLPerf's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emit import Emitter, finite_or_text
from science import Science, Training, name_of

ORGANISATION = "none: a validation run of Stackwright, not a submission"
# Of systems that nobody sells.
STATUS = "research"


@dataclass(frozen=True)
class Log:
    """Prints the events of one seed's training, on rank 0."""

    out: Emitter
    seed: int

    def say(self, key: str, value: Any, event: str = "POINT_IN_TIME", **facts: Any) -> None:
        """Print one event."""
        if self.out.rank == 0:
            line = {
                "namespace": "",
                "time_ms": round(1000 * time.time()),
                "event_type": event,
                "key": key,
                "value": value,
                "metadata": {"file": Path(__file__).name, **facts, "seed": self.seed},
            }
            print(f":::MLLOG {json.dumps(finite_or_text(line))}", flush=True)

    @contextmanager
    def interval(self, what: str, **facts: Any) -> Iterator[None]:
        """Say when the body begins and ends."""
        self.start(what, **facts)
        yield
        self.stop(what, **facts)

    def start(self, what: str, **facts: Any) -> None:
        """Begin an interval: init, staging, run, epoch or eval."""
        self.say(f"{what}_start", None, "INTERVAL_START", **facts)

    def stop(self, what: str, **facts: Any) -> None:
        """End it."""
        self.say(f"{what}_stop", None, "INTERVAL_END", **facts)

    def describe(self, science: Science, training: Training, hosts: list[str]) -> None:
        """Say what is trained, how and where; `hosts` are the ranks' nodes.

        The data are drawn anew for each run, so that no cache holds them from before: none is
        cleared.
        """
        nodes = sorted(set(hosts))
        optimizer = {key: value for key, value in training.optimizer.items() if key != "name"}
        facts = {
            "submission_benchmark": science.mlperf.benchmark or name_of(type(science)),
            "submission_org": ORGANISATION,
            "submission_division": "open",
            "submission_status": STATUS,
            "submission_platform": f"{len(hosts)} rank(s) on {', '.join(nodes)}",
            "number_of_ranks": len(hosts),
            "number_of_nodes": len(nodes),
            "accelerators_per_node": 0,
            "seed": self.seed,
            "global_batch_size": training.batch,
            "gradient_accumulation_steps": 1,
            "train_samples": training.train_samples,
            "eval_samples": training.test_samples,
            "opt_name": training.optimizer["name"].lower(),
            "opt_base_learning_rate": optimizer.pop("lr"),
            **{f"opt_{key}": value for key, value in optimizer.items()},
            "opt_learning_rate_warmup_epochs": training.warm_up * training.epochs,
            "opt_learning_rate_decay_schedule": "cosine",
            "cache_clear": False,
        }
        for key, value in facts.items():
            self.say(key, value)

    def score(self, science: Science, scores: dict[str, float], epoch: float) -> None:
        """Say the score that the target is set for, and all others beside it."""
        self.say(science.mlperf.score, scores[science.metric], epoch_num=epoch, scores=scores)
