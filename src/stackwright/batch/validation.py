"""The job that validates a label on nodes of its system."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from stackwright.batch.request import Resources, answers, directives
from stackwright.batch.slurm import SLURM
from stackwright.batch.words import single
from stackwright.inputs.systems import Batch, System

FILES = SCRIPT, LOG, VERDICT = "job.sh", "output.log", "judgement.json"
"""What a batch folder has: the script, what the job prints, and the judgement that it ends with."""


def resources(
    system: System,
    name: str,
    folder: Path,
    nodes: int,
    minutes: int | None,
    partition: str | None,
    filled: Mapping[str, str],
) -> Resources:
    """What the job asks for: whole nodes, of which each case's steps take what they need.

    It is not ended when it loses a node, so that the run is judged with what it has lost; it is
    told a minute before its time is over, so that what runs is ended and can be continued; and
    when it was put back into the queue, it goes on where it was.
    """
    batch = system.batch or Batch()
    return Resources(
        name=name,
        nodes=nodes,
        tasks_per_node=1,
        cpus_per_task=system.cpu.cores,
        minutes=minutes,
        partition=partition or batch.partition,
        options=batch.options,
        asks=batch.asks,
        filled=answers(batch.asks, filled, system.name),
        output=str(folder / LOG),
        requeue=True,
        more=(("--no-kill", None), ("--signal", "B:TERM@60"), ("--open-mode", "append")),
    )


def script(job: Resources, command: Sequence[str], folder: Path) -> str:
    """The job's script; what the command prints on standard output is its judgement.

    Raises:
        StackwrightError: what Slurm is to read would be more than a line.
    """
    # There, as Python looks for modules in the current folder first.
    lines = single(["#!/bin/sh", *directives(SLURM, job), f"#SBATCH --chdir={folder}"])
    run = f"exec {shlex.join(command)} >{shlex.quote(str(folder / VERDICT))}"
    return "\n".join([*lines, run]) + "\n"
