"""A job of Slurm: submitted, looked at, cancelled."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner, ToolError

GOING = frozenset(
    (
        *("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"),
        *("COMPLETING", "STAGE_OUT", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"),
        "SPECIAL_EXIT",
    )
)
"""States of a job that has not come to its end: squeue(1), JOB STATE CODES."""

GONE = "UNKNOWN"
"""The state of a job that Slurm has forgotten."""


STUCK: Mapping[str, str] = {
    "PartitionConfig": "its partition hasn't as many nodes, or not such ones: see -N, --partition",
    "PartitionNodeLimit": "its partition gives fewer nodes to a job: see -N, --partition",
    "PartitionDown": "its partition is down: see --partition, or ask its administrators",
    "PartitionInactive": "its partition starts no jobs: see --partition",
    "BadConstraints": "no node is what it asks for: see `batch` of the system's file, and -N",
    "JobHeld*": "it is held: scontrol release",
}
"""Why a job waits that won't start as things are, by pattern, and what mends it.

It may yet start: nodes that are down count for some of these, and come back.
"""

HOPELESS: Mapping[str, str] = {
    "PartitionTimeLimit": "its partition gives less time: see --time, --partition",
    "*AccountNotAllowed": "its partition is not for this account: see --set account=, --partition",
    "InvalidAccount": "Slurm has no such account: see --set account=",
    "InvalidQOS": "Slurm has no such QOS for this account: see `batch` of the system's file",
    "QOSNotAllowed": "its partition is not for this QOS: see `batch` of the system's file",
    "*QOS*PerJob*": "its QOS gives less to a job: see -N, --time",
    "*QOSMinCpuNotSatisfied": "its QOS is for larger jobs: see -N",
    "Assoc*PerJob*": "its account may not ask for as much in one job: see -N, --time",
    "DependencyNeverSatisfied": "what it waits for failed",
}
"""Those by which a job is not allowed what it asks for, whatever becomes of nodes and other jobs.

squeue(1), JOB REASON CODES, and Slurm's job_state_reason_string of 22.05 to 24.11.
"""

LOST = "NODE_FAIL"
"""The state of a job that lost a node that it can't do without."""


@dataclass(frozen=True)
class State:
    """What becomes of a job.

    Args:
        name: as squeue(1) lists them.
        reason: why it waits, or has ended so; empty if there is none.
        code: the exit code of its script; 0 while there is none.
    """

    name: str
    reason: str = ""
    code: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.name not in GOING

    @property
    def stuck(self) -> str | None:
        """Why it won't start as things are; None if it may."""
        return self._why({**STUCK, **HOPELESS})

    @property
    def hopeless(self) -> bool:
        """Whether it never starts unless somebody changes what it asks for, or may have."""
        return self._why(HOPELESS) is not None

    def _why(self, reasons: Mapping[str, str]) -> str | None:
        if self.name != "PENDING":
            return None
        return next((why for like, why in reasons.items() if fnmatchcase(self.reason, like)), None)

    def __str__(self) -> str:
        """The state, with the reason where there is one."""
        return f"{self.name} ({self.reason})" if self.reason else self.name


@dataclass(frozen=True)
class SlurmJobs:
    """Talks to Slurm.

    Args:
        runner: runs and logs what changes something.
        asking: runs what only looks.
    """

    runner: Runner
    asking: Runner

    def submit(self, script: Path, options: str) -> str:
        """Submit a script; the number of its job.

        Args:
            options: where the options that it asks by can be seen, should Slurm refuse them.

        Raises:
            StackwrightError: Slurm refuses it.
        """
        printed = self.runner.run(
            ["sbatch", "--parsable", str(script)],
            # A job that was requeued has this; the one that it submits was not.
            env={name: os.environ[name] for name in os.environ if name != "SLURM_RESTART_COUNT"},
            hint=f"see what it asks for: {options}",
        )
        return printed.split()[-1].partition(";")[0]  # a cluster's name may follow

    def state(self, job: str) -> State | None:
        """What has become of a job; None where Slurm does not answer now.

        A job with `--no-kill` that loses the node of its script goes on for Slurm, and for nobody
        else: it is told as NODE_FAIL.
        """
        try:
            text = self.asking.run(["scontrol", "--oneliner", "show", "job", job])
            state, host = shown(text), re.search(r"\bBatchHost=(\S+)", text)
            if state.name == "RUNNING" and host and self._is_down(host[1]):
                return State(LOST, f"{host[1]}, the first node, is down")
        except ToolError as error:
            return None if "Invalid job id" not in str(error) else self._accounted(job)
        return state

    def _is_down(self, node: str) -> bool:
        """Whether Slurm has given a node up (sinfo(1), NODE STATE CODES)."""
        ask = ["sinfo", "--noheader", f"--nodes={node}", "--format=%T"]
        return any(state.startswith("down") for state in self.asking.run(ask).split())

    def cancel(self, job: str) -> None:
        """End a job, or take it out of the queue; nothing happens where it has ended."""
        self.runner.run(["scancel", job])

    def _accounted(self, job: str) -> State:
        """What the accounting knows of a job that the controller has forgotten, as it soon does."""
        fields = ["--format=State,ExitCode", "--parsable2", "--noheader", "--allocations"]
        try:
            printed = self.asking.run(["sacct", f"--jobs={job}", *fields])
        except StackwrightError:
            return State(GONE)
        state, _, code = printed.strip().partition("|")
        return State(state.split()[0], code=_code(code)) if state else State(GONE)


def shown(text: str) -> State:
    """A job's state in the words of `scontrol --oneliner show job`."""
    fields = dict(re.findall(r"(\w+)=(\S*)", text))
    reason = fields.get("Reason", "")
    return State(
        fields.get("JobState", GONE),
        "" if reason in ("None", "NonZeroExitCode") else reason,
        _code(fields.get("ExitCode", "")),
    )


def _code(text: str) -> int:
    """The exit code of `code:signal`."""
    code = text.partition(":")[0]
    return int(code) if code.isdigit() else 0
