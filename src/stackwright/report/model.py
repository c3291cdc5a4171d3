"""What a report is made of: plain values, gathered from the store by the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackwright.certify.coverage import Coverage
from stackwright.errors import StackwrightError

JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """Everything that plan and lock say.

    Args:
        packages: name and version of each wheel.
        by_spack: the spec of each package of Spack's, by name.
        wheels: the digest of each, by ``name version``.
        overlay: hash or link target of each file that the overlay adds.
        fields: all else, by the field's dotted name.
    """

    packages: Sequence[tuple[str, str]]
    env: Mapping[str, str]
    os_packages: Sequence[tuple[str, str]]
    by_spack: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, str] = field(default_factory=dict)
    overlay: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Certificate:
    """An in-toto statement, and what came of verifying its envelope.

    Args:
        statement: the decoded statement (docs/formats.md, Certificate).
        verified: whether every check of the verification passed.
        message: what the verification said, one line.
        signers: the key ids that signed.
        digest: the sha256 of the envelope file.
    """

    statement: JsonObject
    verified: bool
    message: str
    signers: Sequence[str]
    digest: str


@dataclass(frozen=True)
class Previous:
    """The release that users had when the run began.

    Args:
        coverage: what its certificate says was asked.
    """

    plan: Plan
    judgement: JsonObject
    coverage: Coverage


@dataclass(frozen=True)
class Provenance:
    """Where the evidence came from and how to look at it again.

    Args:
        run_dir: the folder of the run, as the reviewer would type it.
        lock: the hash of the lock.
        host: the fingerprint of the machine.
        tools: name and version of each external tool.
        commands: those that were started while the run went on, secrets redacted, oldest first.
    """

    run_dir: str
    lock: str
    host: JsonObject
    tools: Mapping[str, str]
    commands: Sequence[str]


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; job, runs and judgement are as in docs/formats.md.

    Args:
        runs: the records that could be read; what could not is a reason in the judgement.
        logs: the tail of each log's text, by its path in the run's folder.
        released: since when users have these very bytes, such as ``generation 3``; None if they
            don't.
        required_suite: the suite that a release has to pass; None if that isn't known.
        interruptions: how often a run was begun and left no result.

    Raises:
        StackwrightError: the judgement is of another job, or leaves out a case that it asked for:
            a report of it would show less than was asked.
    """

    judgement: JsonObject
    job: JsonObject
    runs: Sequence[JsonObject]
    plan: Plan
    artefact: JsonObject
    provenance: Provenance
    certificate: Certificate | None = None
    previous: Previous | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    released: str | None = None
    required_suite: str | None = None
    interruptions: int = 0

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        rejudge = f"stackwright judge {self.provenance.run_dir}"
        if self.judgement["job_id"] != self.job["job_id"]:
            raise StackwrightError(
                f"the judgement is of job {self.judgement['job_id']!r},"
                f" not of {self.job['job_id']!r}",
                hint=rejudge,
            )
        judged = {case["id"] for case in self.judgement["cases"]}
        if missing := sorted({case["id"] for case in self.job["cases"]} - judged):
            raise StackwrightError(
                f"the judgement leaves out {', '.join(map(repr, missing))}", hint=rejudge
            )
