"""The runs of a store: each a folder with its job, its results and, once judged, its judgement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stackwright.store import Store

JOB, RESULTS, ATTESTATION, JUDGEMENT = (
    "job.json",
    "results.jsonl",
    "results.dsse.json",
    "judgement.json",
)


class Run(NamedTuple):
    """One run; without a judgement it was interrupted, or goes on."""

    folder: Path
    job: dict[str, Any]
    judgement: dict[str, Any] | None


def runs(store: Store) -> Iterator[Run]:
    """Every run, the oldest first; a copy of a run's folder under another name is no run."""
    for path in sorted((store.root / "runs").glob(f"*/{JOB}")):
        job = json.loads(path.read_bytes())
        if job["job_id"] == path.parent.name:
            judged = path.with_name(JUDGEMENT)
            judgement = json.loads(judged.read_bytes()) if judged.exists() else None
            yield Run(path.parent, job, judgement)
