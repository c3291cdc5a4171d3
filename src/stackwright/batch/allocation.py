"""The nodes that Slurm gave to the job that this process is in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner

_PRINT = """
import json, os
from stackwright.validation.host import fingerprint
print(json.dumps({"node": os.environ["SLURMD_NODENAME"], **fingerprint()}))
"""


def nodes_here(environ: Mapping[str, str], count: int, runner: Runner) -> tuple[str, ...]:
    """The first nodes of this allocation, by their names in Slurm.

    Args:
        environ: sbatch(1) sets SLURM_JOB_NODELIST and SLURMD_NODENAME.
        count: how many are wanted.

    Raises:
        StackwrightError: this is no process of a job, or one on another than its first node, where
            rank 0 would not be found; or the job has fewer nodes.
    """
    hint = f"let it be submitted: --launcher slurm -N {count}"
    if not environ.get("SLURM_JOB_ID") or not environ.get("SLURM_JOB_NODELIST"):
        raise StackwrightError("srun starts ranks in a Slurm job, and this is none", hint=hint)
    listed = runner.run(["scontrol", "show", "hostnames", environ["SLURM_JOB_NODELIST"]])
    nodes = tuple(listed.split())
    if len(nodes) < count:
        raise StackwrightError(
            f"this job has {len(nodes)} nodes, {' '.join(nodes)}, and {count} are wanted", hint=hint
        )
    if environ.get("SLURMD_NODENAME") != nodes[0]:
        raise StackwrightError(
            f"the ranks would look for rank 0 here, and it will be on {nodes[0]}", hint=hint
        )
    return nodes[:count]


def fingerprints(nodes: Sequence[str], runner: Runner) -> dict[str, dict[str, Any]]:
    """The fingerprint of each of the first nodes of this allocation, by its name.

    Each is taken by one process that may use all of its node.

    Raises:
        StackwrightError: Stackwright does not run on one of them.
    """
    step = ["srun", f"--nodes={len(nodes)}", "--ntasks-per-node=1", "--cpu-bind=none", "--mem=0"]
    printed = runner.run(
        [*step, "--mpi=none", "--immediate=60", sys.executable, "-c", _PRINT],
        hint="Stackwright, its site and its store have to be in the same place on every node",
    )
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    found = {line.pop("node"): line for line in lines}
    if sorted(found) != sorted(nodes):
        raise StackwrightError(f"asked {' '.join(nodes)}, but {' '.join(found) or 'none'} answered")
    return found
