"""The nodes that Slurm gave to the job that this process is in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stackwright.batch.srun import named
from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner

_WRITE = """
import json, os, sys
from stackwright.validation.host import fingerprint
with open(os.path.join(sys.argv[1], os.environ["SLURMD_NODENAME"]), "w") as file:
    json.dump(fingerprint(), file)
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


def fingerprints(nodes: Sequence[str], above: Path, runner: Runner) -> dict[str, dict[str, Any]]:
    """The fingerprint of each of the first nodes of this allocation, by its name.

    Each is taken by one process that may use all of its node, and left in a file: what several
    tasks print, srun may mix.

    Args:
        above: a folder that all nodes share, for what is removed again.

    Raises:
        StackwrightError: Stackwright does not run on one of them, or what it writes isn't seen.
    """
    step = ["srun", *named(nodes), "--ntasks-per-node=1", "--cpu-bind=none", "--mem=0"]
    above.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="nodes-", dir=above) as folder:
        # There, as Python looks for modules in the current folder first.
        step += ["--mpi=none", "--immediate=60", f"--chdir={folder}"]
        runner.run([*step, sys.executable, "-c", _WRITE, folder], hint=_SHARED)
        files = {node: Path(folder, node) for node in nodes}
        if missing := [node for node, path in files.items() if not path.exists()]:
            raise StackwrightError(f"nothing is seen of node {missing[0]} in {above}", hint=_SHARED)
        return {node: json.loads(path.read_bytes()) for node, path in files.items()}


def check_plugin(plugin: str, nodes: Sequence[str], runner: Runner) -> None:
    """Check that srun's plugin for an MPI works on the first nodes of this allocation.

    That srun lists it does not mean that it finds its library.

    Raises:
        StackwrightError: it does not.
    """
    runner.run(
        [
            *("srun", *named(nodes), "--ntasks-per-node=1", "--mem=0"),
            *(f"--mpi={plugin}", "--immediate=60", "true"),
        ],
        hint=f"the MPI of this stack needs Slurm's plugin {plugin}: {_PLUGIN_NEEDS[plugin]};"
        " else validate on one node, without --launcher",
    )


_PLUGIN_NEEDS = {
    "pmi2": "srun --mpi=list",
    "pmix": "srun --mpi=list, and PMIx's library on every node before slurmd starts"
    " (Debian: libpmix-dev)",
}

_SHARED = "Stackwright, its site and its store have to be in the same place on every node"
