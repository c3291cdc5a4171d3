"""Validate an artefact on this machine: prepare a job, run it, sign what came of it, judge it."""

from __future__ import annotations

import json
import platform
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from stackwright.batch.allocation import check_plugin, fingerprints
from stackwright.batch.srun import PLUGINS, Meeting, network
from stackwright.building.recipe import installed_modules, installed_mpi
from stackwright.canonical import hash_folder, hash_value
from stackwright.certify.artefact import Artefact
from stackwright.certify.attest import Begun, attest_digest, attest_results, verify_results
from stackwright.certify.keys import (
    BUILDER,
    PrivateKey,
    TrustedKeys,
    create_pair,
    load_private,
    trusted_keys,
)
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.inputs.labels import Label, parse
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Mpi
from stackwright.inputs.systems import System
from stackwright.plans.plan import Plan
from stackwright.release.generations import read_history
from stackwright.release.measure import Measure, check_bytes
from stackwright.release.rule import compared_with
from stackwright.runtimes.here import Here
from stackwright.store import Store, write_atomic
from stackwright.tools import lmod
from stackwright.tools.engines import CONTAINER_ENGINES
from stackwright.tools.process import Runner
from stackwright.validation import jobrun, launch
from stackwright.validation.gate import judge
from stackwright.validation.host import check_alike, check_host, fingerprint
from stackwright.validation.judgement import Judgement
from stackwright.validation.ledger import JobError
from stackwright.validation.prepare import Arm, Heading, digests_of, make_job
from stackwright.validation.runs import ATTESTATION, JOB, JUDGEMENT, RESULTS, runs
from stackwright.validation.suites import (
    PAYLOAD_FOLDERS,
    Choice,
    ConcreteCase,
    payload_digest,
)

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Session:
    """Where a validation happens.

    Args:
        measure: hashes the bytes of an artefact in the store.
        runtime: what runs the image; None for the system's first that works.
        nodes: of the allocation that this process is in, over which srun starts the ranks, this one
            first; none where they run on this machine alone.
    """

    site: Site
    store: Store
    runner: Runner
    measure: Measure
    runtime: str | None = None
    nodes: tuple[str, ...] = ()

    def start(
        self,
        plan: Plan,
        versions: str,
        artefact: Artefact,
        suite: str,
        only: tuple[str, ...] = (),
    ) -> Path:
        """Write the job and everything that it runs; returns its folder.

        Args:
            versions: of the packages that were locked, for the cases that ask.
            only: the cases to run, to look at them; none for all.

        Raises:
            StackwrightError: this machine is not the system's, the artefact's bytes have changed,
                the suite has a mistake, the clock went back, or nothing here can run the image or
                the module.
        """
        chosen = Choice(self.site.suite_file(suite), only)
        digests = chosen.digest(), payload_digest(self.site.root / "validation")
        chosen.cases({"VERSIONS": versions})  # a mistake in it is told before anything is hashed
        system = parse(artefact.label).system
        described = self.site.system(system)
        host = self._checked_host(described)
        runtime = self._runtime(system)
        check_bytes(artefact, self.measure)
        cases = chosen.cases({"VERSIONS": versions}, described.can)
        now = datetime.now(timezone.utc)
        check_clock(self.store, f"{now:%Y-%m-%dT%H:%M:%SZ}")
        job_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        folder = self.store.root / "runs" / job_id
        draft = self.store.root / "work" / f"run-{job_id}"
        payload = folder / "payload"
        self._copy_payload(draft / "payload")
        candidate = self._arm(artefact, runtime, draft, folder, "candidate")
        released = self._baseline(artefact)
        if released:
            check_bytes(released, self.measure)
        baseline = self._arm(released, runtime, draft, folder, "baseline") if released else None
        self._check_plugins(cases, [candidate, *([baseline] if baseline else [])])
        if digests != (chosen.digest(), payload_digest(draft / "payload")):
            raise StackwrightError(
                "the suite or its cases changed while the job was prepared",
                hint=f"validate again: stackwright validate '{plan.label}'",
            )
        job = make_job(
            Heading(
                job_id=job_id,
                nonce=secrets.token_hex(16),
                created=f"{now:%Y-%m-%dT%H:%M:%SZ}",
                seed=secrets.randbelow(2**31),
                suite=chosen.name,
                suite_digest=digests[0],
                payload_digest=payload_digest(draft / "payload"),
                files_digest=files_digest(draft),
                runtime=runtime,
                host=host,
                nodes=self._nodes(described, plan),
            ),
            cases,
            candidate,
            baseline,
            payload,
        )
        data = json.dumps(job, indent=1).encode() + b"\n"
        write_atomic(draft / JOB, data)
        write_atomic(draft / ATTESTATION, attest_results(data, b"", builder_key(self.store)))
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)
        return folder

    def check_suite(self, suite: str, only: tuple[str, ...] = ()) -> None:
        """Check what is asked for before anything is looked for that could be asked.

        Raises:
            StackwrightError: there is no such suite or case, or the suite has a mistake.
        """
        Choice(self.site.suite_file(suite), only).cases({"VERSIONS": ""})

    def check_over_nodes(self, system: str, suite: str) -> None:
        """Check what can be known of a run over nodes before a job is submitted for it.

        Raises:
            StackwrightError: there is no such suite, it has a mistake, or srun can start none of
                the run times.
        """
        self.check_suite(suite)
        self._startable(system)

    def _nodes(self, system: System, plan: Plan) -> launch.Nodes | None:
        """What srun starts ranks over, in an allocation."""
        settled = {each.name for each in plan.environment}
        between = network(system.fabric, settled)
        return launch.Nodes(self.nodes, system.cpu.cores, between) if self.nodes else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other validations of this store off this machine: each would disturb the other.

        Raises:
            StackwrightError: there is one.
        """
        with self.store.lock(f"validate-{platform.node()}", wait=False) as free:
            if not free:
                raise StackwrightError(
                    "another validation runs on this machine, and both would be measured wrongly",
                    hint=f"wait until it has ended; it writes to {self.store.root / 'runs'}",
                )
            yield

    def unfinished(self, artefact: Artefact, suite: str, only: tuple[str, ...] = ()) -> Path | None:
        """The newest run that asks what a new one would, if it was interrupted.

        Runs that ask something else are passed over. One that was finished is not: what was begun
        before it was given up, and to measure again is to measure anew.
        """
        released = self._baseline(artefact)
        chosen = Choice(self.site.suite_file(suite), only)
        asked = {
            "suite": {"name": chosen.name, "digest": chosen.digest()},
            "payload": payload_digest(self.site.root / "validation"),
            "arms": {
                "candidate": digests_of(artefact),
                "baseline": digests_of(released) if released else None,
            },
            "host": self._host(),
        }
        system = self.site.system(parse(artefact.label).system)
        cases = chosen.cases({"VERSIONS": ""}, system.can)
        lacking = {case.id: list(case.lacks) for case in cases if case.lacks}
        same = [
            run
            for run in runs(self.store)
            if run.job["label"] == artefact.label
            and asked.items() <= run.job.items()
            and lacking == _lacking(run.job)
        ]
        if any(run.job.get("runtime") for run in same):
            runtime = self._runtime(parse(artefact.label).system)
            same = [run for run in same if run.job.get("runtime") in (None, runtime)]
        return same[-1].folder if same and same[-1].judgement is None else None

    def resume(self, folder: Path, label: Label) -> Path:
        """The folder of an interrupted run of a label, once it is clear that it may go on.

        Raises:
            StackwrightError: it is no run, or another label's, or what it measures has changed.
        """
        path = folder / JOB
        if not path.is_file():
            raise StackwrightError(
                f"{folder} is not the folder of a run: it has no {JOB}",
                hint="runs are in STORE/runs; without --resume the newest that fits is continued",
            )
        job = path.read_bytes()
        found = json.loads(job)
        if found["label"] != str(label):
            raise StackwrightError(
                f"{folder} is a run of {found['label']}, not of {label}",
                hint=f"stackwright validate '{found['label']}' --resume {folder}",
            )
        host = self._checked_host(self.site.system(label.system))
        if found["host"] != host:
            raise StackwrightError(
                f"{folder.name} was begun on another machine or nodes, or here before it changed",
                hint=f"go on there, or measure anew: stackwright validate '{label}' --fresh",
            )
        self._check_arms(job)
        return folder.resolve()

    def run(self, folder: Path, on_event: OnEvent) -> Judgement:
        """Run a job, or what is left of it, sign its results and judge them.

        Each result is signed as it comes, so that nothing is continued, and so signed, that was
        changed between two calls.

        Raises:
            StackwrightError: the job can't be run, or its files aren't what was signed so far.
            jobrun.Interrupted: Ctrl-C; running the same folder again continues.
        """
        key = builder_key(self.store)
        trusted = TrustedKeys((), (key.public,))
        job, _, before = check_untouched(folder, trusted)

        def sign_and_tell(event: Mapping[str, Any]) -> None:
            check_files(folder, job)
            running = "{case} {arm} #{pair}".format_map(event) if event["event"] == "begin" else ""
            # What the driver wrote is signed; another file under that name is found out.
            begun = Begun(running, before.in_vain)
            write_atomic(folder / ATTESTATION, attest_digest(job, event["results"], key, begun))
            on_event(event)

        try:
            jobrun.run_job(folder, sign_and_tell)
        except JobError as error:
            raise StackwrightError(error.what, hint=error.hint, code=ExitCode.INVALID) from error
        self._check_arms(job)
        job, results, _ = check_untouched(folder, trusted)
        judgement = judge(job, results)
        write_atomic(folder / JUDGEMENT, judgement.to_json().encode())
        return judgement

    def judged(self, folder: Path, label: Label) -> Judgement:
        """Judge a run of a label that another process, as on a node, has brought to its end.

        Raises:
            StackwrightError: its files aren't what was signed, or it is another label's.
        """
        job, results, _ = check_untouched(
            folder, TrustedKeys((), (builder_key(self.store).public,))
        )
        judgement = judge(job, results)
        if judgement.label != str(label):
            raise StackwrightError(f"{folder} is a run of {judgement.label}, not of {label}")
        return judgement

    def _host(self) -> dict[str, Any]:
        """The facts of this machine, and the names of the nodes that go with it.

        A node may be known to Slurm by another name than to itself, which is what ranks report.
        """
        if not self.nodes:
            return fingerprint()
        facts = self._fingerprints
        hostnames = [facts[node]["hostname"] for node in self.nodes]
        return {**facts[self.nodes[0]], "nodes": [*self.nodes], "hostnames": hostnames}

    @cached_property
    def _fingerprints(self) -> dict[str, dict[str, Any]]:
        return fingerprints(self.nodes, self.store.root / "work", self.runner)

    def _checked_host(self, described: System) -> dict[str, Any]:
        """As `_host`, once it is clear that all nodes are the system's, and alike."""
        host = self._host()
        check_host(host, described, "this machine")
        if self.nodes:
            check_alike(self._fingerprints, described)
        return host

    def _baseline(self, candidate: Artefact) -> Artefact | None:
        keys = trusted_keys(self.site.root / "keys", self.store.root / "keys")
        return baseline_of(self.store, parse(candidate.label), candidate, keys)

    def _check_arms(self, job: bytes) -> None:
        """Check that what ran is at the end what it was at the beginning."""
        asked = json.loads(job)["arms"]
        candidate = self.store.read_artefact(asked["candidate"]["plan_hash"])
        baseline = self._baseline(candidate) if candidate else None
        for name, artefact in (("candidate", candidate), ("baseline", baseline)):
            if (digests_of(artefact) if artefact else None) != asked[name]:
                raise StackwrightError(
                    f"the {name} is not what it was when the run began",
                    hint="measure again: stackwright validate LABEL",
                    code=ExitCode.INVALID,
                )
            if artefact:
                check_bytes(artefact, self.measure)

    def _copy_payload(self, to: Path) -> None:
        """The cases as they are now: editing them while a job runs changes nothing."""
        source = self.site.root / "validation"
        for name in PAYLOAD_FOLDERS:
            shutil.copytree(
                source / name,
                to / name,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        probe = to / launch.PROBE
        probe.parent.mkdir()
        self._compile_probe(to, probe)

    def _compile_probe(self, payload: Path, probe: Path) -> None:
        """Compile the probe of the machine's ceilings for this very processor.

        Never taken from an earlier run: whoever replaced it there would lower every floor.
        """
        flags = ("-O3", "-march=native", "-static", "-pthread")
        self.runner.run(
            ["cc", *flags, "-o", str(probe), str(payload / "probes" / "roofline.c"), "-lm"],
            hint="install a C compiler (Debian: apt-get install gcc libc6-dev)",
        )

    def _arm(self, artefact: Artefact, runtime: str, draft: Path, folder: Path, name: str) -> Arm:
        """Make both ways of running an artefact ready: its image and its module."""
        label = parse(artefact.label)
        tree = Path("modules", name)
        modulefile = draft / tree / label.stack / f"{label.release}.lua"
        modulefile.parent.mkdir(parents=True)
        prefix = self.store.path(artefact.prefix.path)
        modulefile.write_bytes(installed_modules(prefix)["module.lua"])
        mpi = installed_mpi(prefix)
        image = self._here(label.system).ready(runtime, artefact)
        return Arm(
            artefact,
            {
                "image": launch.Image(image, mpi),
                "module": launch.Module(lmod.find_init(), folder / tree, label.module, mpi),
            },
        )

    def _check_plugins(self, cases: Iterable[ConcreteCase], arms: Iterable[Arm]) -> None:
        """Check that srun can bring together the ranks of each case, by each arm's MPI.

        Raises:
            StackwrightError: it can't.
        """
        mpis = {channel.mpi for arm in arms for channel in arm.channels.values()}
        over_nodes = [case for case in cases if self.nodes]
        meetings = {_meeting(case, mpi) for case in over_nodes for mpi in mpis}
        for plugin in sorted(meetings & {*PLUGINS}):
            check_plugin(plugin, self.nodes, self.runner)

    def _runtime(self, system: str) -> str:
        """What runs images: what was asked for, else the first of the system's that works here."""
        startable = self._startable(system) if self.nodes else None
        return self.runtime or self._here(system).first_that_works(startable)

    def _startable(self, system: str) -> tuple[str, ...]:
        """Of what was asked for, else of the system's run times, those that srun can start.

        Containers of an engine outlive the process that srun starts.
        """
        asked = (self.runtime,) if self.runtime else self.site.system(system).runtimes
        names = tuple(name for name in asked if name not in CONTAINER_ENGINES)
        if not names:
            raise StackwrightError(
                f"srun can't start {' or '.join(asked)}: what it runs could not be ended on other"
                " nodes",
                hint=f"--runtime charliecloud, or add it to systems/{system}.yaml",
            )
        return names

    def _here(self, system: str) -> Here:
        described, injections = self.site.system(system), self.site.injections(system)
        return Here(self.store, self.runner, described, injections)


def _meeting(case: ConcreteCase, mpi: Mpi) -> Meeting:
    try:
        return launch.meeting(case.launch.launcher, mpi)
    except ValueError as error:
        raise StackwrightError(
            f"case '{case.id}' can't be launched over nodes: {error}",
            hint="validate on one node, without --launcher, or by a suite without such cases:"
            " --suite NAME",
        ) from error


def check_untouched(folder: Path, keys: TrustedKeys) -> tuple[bytes, bytes, Begun]:
    """The job and the results, if they are those signed last, and the cases those of the job.

    Also what was begun so far.

    Raises:
        StackwrightError: someone changed them; a result that was just being written when the
            driver was killed counts as changed.
    """
    job, results, envelope = (_bytes(folder / name) for name in (JOB, RESULTS, ATTESTATION))
    whole = results[: results.rfind(b"\n") + 1]  # the driver takes back what a crash has torn
    begun = verify_results(envelope, job, whole, keys)
    check_files(folder, job)
    if payload_digest(folder / "payload") != json.loads(job)["payload"]:
        raise StackwrightError(
            "the run's copy of the cases was changed since the job was written",
            where=Location(folder / "payload"),
            hint="measure again: stackwright validate LABEL",
            code=ExitCode.INVALID,
        )
    return job, whole, begun


def check_clock(store: Store, now: str) -> None:
    """Check that a run that is begun at ``now`` will be the store's newest.

    Raises:
        StackwrightError: one says that it was begun later.
    """
    newest = max(runs(store), key=lambda run: str(run.job["created"]), default=None)
    if newest and newest.job["created"] > now:
        raise StackwrightError(
            f"it is {now} by this clock, and {newest.folder.name} was begun at "
            f"{newest.job['created']}",
            where=Location(newest.folder),
            hint="set the clock right; if it was wrong then, move that run out of STORE/runs",
        )


def _lacking(job: Mapping[str, Any]) -> dict[str, list[str]]:
    """The cases of a job that are not run, and what the system lacked for them."""
    return {case["id"]: case["lacks"] for case in job["cases"] if case.get("lacks")}


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def files_digest(folder: Path) -> str:
    """The hash of what a run uses beside the cases: its modulefiles, and the probe's binary."""
    return hash_value({name: hash_folder(folder / name) for name in ("modules", "payload/bin")})


def check_files(folder: Path, job: bytes) -> None:
    """Check that a run's modulefiles and probe are those that the job was written with.

    Raises:
        StackwrightError: someone changed them, or put compiled Python beside the cases: runs write
            none, and it would run in their place.
    """
    if compiled := [*(folder / "payload").rglob("*.pyc")]:
        raise StackwrightError(
            "there is compiled Python among the run's cases, which no run puts there",
            where=Location(compiled[0]),
            hint="measure again: stackwright validate LABEL",
            code=ExitCode.INVALID,
        )
    if files_digest(folder) != json.loads(job).get("files"):
        raise StackwrightError(
            "the run's modulefiles or its probe were changed since the job was written",
            where=Location(folder),
            hint="measure again: stackwright validate LABEL",
            code=ExitCode.INVALID,
        )


def baseline_of(
    store: Store, label: Label, candidate: Artefact, keys: TrustedKeys
) -> Artefact | None:
    """The released artefact to compare with; None for a first release: see `compared_with`.

    Raises:
        StackwrightError: what is released is not what its certificate says.
    """
    return compared_with(store, read_history(store), label, candidate.image.digest, keys)


def builder_key(store: Store) -> PrivateKey:
    """The key that signs results: made on first use, as it vouches only for this store's runs."""
    keys = store.root / "keys"
    path = keys / f"{BUILDER}.key"
    with store.lock("keys"):
        return load_private(path) if path.exists() else create_pair(keys, BUILDER)
