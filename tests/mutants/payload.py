"""Runs a case of the shipped suites by the real driver and gate, in an environment with no image.

The environment of STACKWRIGHT_TEST_PYTHON stands for the stack: its copy gets a manifest, so that
the gate can tell which stack it was. What a certificate needs beside (image, module, signature)
is the business of the attacks.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from payload_runs import VALIDATION, faulty, load_case_module, versions_of
from test_prepare import HEADING, artefact

from stackwright.inputs.stacks import Mpi
from stackwright.runtimes.request import CommandLine
from stackwright.validation.execution import Interrupted
from stackwright.validation.gate import judge
from stackwright.validation.host import fingerprint
from stackwright.validation.jobrun import run_job
from stackwright.validation.judgement import CaseJudgement
from stackwright.validation.launch import PROBE, Program, Start, command, environment
from stackwright.validation.prepare import Arm, make_job
from stackwright.validation.suites import ConcreteCase, expand, load_suite

MANIFEST = Path("share/stackwright/manifest.json")
PLAN = "sha256:" + "a" * 64


@dataclass(frozen=True)
class Prefix:
    """A copy of the payload's environment, and the tree hash that its manifest claims."""

    root: Path
    tree: str

    @contextmanager
    def copy(self) -> Iterator[Prefix]:
        """A copy by hard links, whose files may be removed or replaced."""
        with copied(self.root) as root:
            yield replace(self, root=root)


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy by hard links, beside its original, as they must share a file system."""
    with tempfile.TemporaryDirectory(prefix=".mutants-", dir=root.parent) as folder:
        copy = Path(folder, "prefix")
        subprocess.run(["cp", "-al", root, copy], check=True)
        yield copy


@contextmanager
def stack_of(python: Path) -> Iterator[Prefix]:
    """Give the environment of an interpreter what makes it a stack: a manifest."""
    with copied(python.parents[1]) as root:
        (root / MANIFEST).unlink(missing_ok=True)  # of a real prefix, and a link to its own
        (root / MANIFEST).parent.mkdir(parents=True, exist_ok=True)  # the tree hash covers it
        cases = load_case_module("tree_hash")
        for link in [p for p in root.rglob("*") if p.is_symlink() and cases.leads_out(p, root)]:
            target = link.resolve()  # an environment's Python, which no prefix may have elsewhere
            link.unlink()
            shutil.copy2(target, link)
        tree = cases.tree_hash(str(root))
        manifest = {"plan_hash": PLAN, "tree": tree}
        (root / MANIFEST).write_text(json.dumps(manifest))
        yield Prefix(root, tree)


def home_of_python(root: Path) -> dict[str, str]:
    """Let an environment's Python have its own library where it was made, as if injected."""
    config = root / "pyvenv.cfg"  # which a real prefix hasn't
    found = re.search(r"^home = (.+)$", config.read_text() if config.exists() else "", re.MULTILINE)
    return {"STACKWRIGHT_INJECTED": str(Path(found[1]).parent / "lib")} if found else {}


@dataclass(frozen=True)
class Channel:
    """The stack without an image: nothing is inherited but what the case and the fault set."""

    prefix: Path
    fault: str | None = None
    mpi: ClassVar[Mpi] = "mpich"

    def launch(self, program: Program, start: Start, payload: Path) -> CommandLine:
        """Set the environment on the command line, as each arm has its own."""
        given = {
            **environment(program, str(payload), "@OUT@"),
            "PATH": f"{self.prefix}/bin:{os.environ['PATH']}",
            "HOME": "@OUT@",
            "PYTHONNOUSERSITE": "1",
            **home_of_python(self.prefix),
            **faulty(self.fault, payload / "cases"),
        }
        words = (f"{name}={value}" for name, value in given.items())
        return CommandLine(("env", *words, *command(program, start, str(payload))), (), {})


def make_payload(folder: Path) -> Path:
    """Copy cases and probes, and compile the probe of the machine's ceilings."""
    for name in ("cases", "probes"):
        shutil.copytree(VALIDATION / name, folder / name)
    probe = folder / PROBE
    probe.parent.mkdir()
    flags = ("-O3", "-march=native", "-static", "-pthread")
    subprocess.run(["cc", *flags, "-o", probe, folder / "probes/roofline.c", "-lm"], check=True)
    return folder


@cache
def shipped_cases(suite: str = "certify", versions: str = "") -> Mapping[str, ConcreteCase]:
    """The cases of a shipped suite that run in the image, by their id without the channel.

    Unless another is named, that of PyTorch that holds all the others.
    """
    cases = expand(load_suite(VALIDATION / f"suites/{suite}.yaml"), {"VERSIONS": versions})
    return {c.id.removesuffix(".image"): c for c in cases if c.channel == "image"}


def by_checks_alone(judged: CaseJudgement) -> CaseJudgement:
    """Take for a PASS that all is well with a run but that the rule wants more of them."""
    if [reason.partition(";")[0] for reason in judged.reasons] == ["stopped after 1 pairs"]:
        return judged.model_copy(update={"verdict": "PASS", "reasons": ()})
    return judged


@dataclass(frozen=True)
class Bench:
    """Where cases run."""

    prefix: Prefix
    payload: Path
    python: Path

    def case(self, name: str, suite: str = "certify") -> ConcreteCase:
        """A shipped case; skips the test if the stack has not the framework that it is for."""
        return shipped_cases(suite, versions_of(self.python, suite))[name]

    def judge(
        self,
        case: ConcreteCase,
        folder: Path,
        fault: str | None,
        prefix: Prefix | None = None,
        *,
        once: bool = False,
    ) -> CaseJudgement:
        """Run a case with a fault or none; what is measured, in pairs with the healthy stack.

        Args:
            prefix: what the candidate runs in, if not in the healthy stack.
            once: judge by the checks of a single run, and not by what was measured.
        """
        healthy = self._arm(Channel(self.prefix.root))
        candidate = self._arm(Channel((prefix or self.prefix).root, fault))
        baseline = healthy if case.looks and not once else None
        # The driver ends what a job of the same name has left, even if another session runs it.
        name, nonce = f"mutants-{secrets.token_hex(8)}", secrets.token_hex(16)
        heading = replace(HEADING, job_id=name, nonce=nonce, host=fingerprint())
        job = make_job(heading, (case,), candidate, baseline, self.payload)
        folder.mkdir()
        (folder / "job.json").write_text(json.dumps(job))
        watch = FirstRunOnly() if once else Watch()
        try:
            run_job(folder, watch)
        except Interrupted as error:
            if not watch.enough:  # somebody wants all of it to end: half a run shows nothing
                raise KeyboardInterrupt from error
        files = ((folder / name).read_bytes() for name in ("job.json", "results.jsonl"))
        judgement = judge(*files)
        assert not judgement.reasons, judgement.reasons
        return by_checks_alone(judgement.cases[0]) if once else judgement.cases[0]

    def _arm(self, channel: Channel) -> Arm:
        """An arm that claims to be the healthy stack."""
        whole = artefact("a")
        prefix = whole.prefix.model_copy(update={"digest": self.prefix.tree})
        return Arm(whole.model_copy(update={"prefix": prefix}), {"image": channel})


class Watch:
    """Looks on as a job runs."""

    enough = False

    def __call__(self, event: dict[str, Any]) -> None:
        """See what happens."""


class FirstRunOnly(Watch):
    """Ends the job after its first run, as Ctrl-C would."""

    def __call__(self, event: dict[str, Any]) -> None:
        """See Watch."""
        if event["event"] == "run":
            self.enough = True
            raise Interrupted
