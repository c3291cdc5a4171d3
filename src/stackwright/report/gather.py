"""Gather what a report shows from the store: plain files in, :class:`ReportData` out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from stackwright.canonical import hash_bytes
from stackwright.certify.coverage import Coverage
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.statement import moment, timestamp
from stackwright.certify.strictjson import parse
from stackwright.certify.verify import Certificate as Verified
from stackwright.certify.verify import open_certificate
from stackwright.disputes import evidence_folder
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label
from stackwright.release.generations import certificate_path, read_history
from stackwright.release.state import Generation, baseline_module
from stackwright.release.view import released_artefact
from stackwright.report.contents import installed, plan_of
from stackwright.report.model import Certificate, Previous, Provenance, ReportData
from stackwright.stages import certificates, checked_run, verify_label
from stackwright.store import Store
from stackwright.workshop import Workshop

_LOG_TAIL = 8_000
_COMMANDS = 40


def gather(shop: Workshop, folder: Path, now: datetime) -> ReportData:
    """What a report on one validation of a label shows.

    Args:
        folder: the run folder.
        now: when certificates are checked.

    Raises:
        StackwrightError: the run is not one of the label's, or its files can't be read.
    """
    keys = shop.trusted()
    *files, interrupted = checked_run(shop, folder, keys)
    job, judgement = map(json.loads, files)
    asked = hash_bytes(files[0])
    if job["label"] != str(shop.label):
        raise StackwrightError(f"{folder.name} validated {job['label']}, not {shop.label}")
    runs = _runs(folder / "results.jsonl")
    prefix = shop.store.path(shop.artefact.prefix.path)
    lock = installed(prefix, "lock.json")
    made = [c for c in certificates(shop, keys) if c.statement.predicate.evidence.job == asked]
    certificate = _certificate(shop, made, keys, now)
    if certificate and certificate.verified:
        judgement = as_certified(judgement, certificate.statement)
    return ReportData(
        judgement=judgement,
        job=job,
        runs=runs,
        plan=plan_of(prefix),
        artefact=shop.artefact.model_dump(mode="json", by_alias=True),
        provenance=Provenance(
            run_dir=str(folder),
            lock=shop.plan.lock_digest or "",
            host=job["host"],
            tools=lock.get("solved_with", {}),
            commands=_commands(shop.store.log, job["created"], runs),
        ),
        certificate=certificate,
        previous=_previous(shop, job, keys),
        logs=_logs(folder, runs, judgement),
        required_suite=shop.suite,
        interruptions=sum(interrupted.values()),
        released=released_since(shop, judgement["arms"]["candidate"], {one.digest for one in made}),
    )


def as_certified(judgement: Mapping[str, Any], statement: Mapping[str, Any]) -> dict[str, Any]:
    """A judgement with the cases that its certificate waives marked, and why."""
    predicate = statement["predicate"]
    notes = {
        waiver["case"]: f"waived through {waiver['expires']}: {waiver['reason']}"
        for waiver in predicate["waivers"]
    }
    cases = [
        {
            **case,
            "verdict": "WAIVED",
            "reasons": [f"{case['verdict']}, {notes[case['id']]}", *case["reasons"]],
        }
        if case["id"] in notes
        else case
        for case in judgement["cases"]
    ]
    return {**judgement, "verdict": predicate["verdict"], "cases": cases}


def _certificate(
    shop: Workshop, found: Sequence[Verified], keys: TrustedKeys, now: datetime
) -> Certificate | None:
    """The newest of the certificates that were made from a run, and what verifying it says."""
    if not found:
        return None
    opened = found[-1]
    try:
        verify_label(shop, opened.envelope, keys=keys, now=now)
        verified, message = True, "signature, dates, cases, evidence and bytes hold"
    except StackwrightError as error:
        verified, message = False, str(error)
    return Certificate(
        statement=json.loads(opened.statement.to_json()),
        verified=verified,
        message=message,
        signers=[opened.key_id],
        digest=opened.digest,
    )


def _previous(shop: Workshop, job: Mapping[str, Any], keys: TrustedKeys) -> Previous | None:
    """The release that users had when the run began; None before the first, or if it is gone."""
    found = released_at(read_history(shop.store), shop.label, job)
    if found is None:
        return None
    generation, module = found
    artefact = released_artefact(shop.store, generation, module)
    certificate = _opened(shop.store, generation.pointers[module].certificate, keys)
    try:
        folder = evidence_folder(shop.store, certificate)
    except StackwrightError:  # its run was removed from the store
        return None
    return Previous(
        plan=plan_of(shop.store.path(artefact.prefix.path)),
        judgement=_json(folder / "judgement.json"),
        coverage=Coverage.of(certificate.statement.predicate),
    )


def released_at(
    history: Sequence[Generation], label: Label, job: Mapping[str, Any]
) -> tuple[Generation, str] | None:
    """The generation, and the module in it, that a run of a label was held against.

    Without a baseline it is the run's own bytes, if they were released before it began.
    """
    image = (job["arms"]["baseline"] or job["arms"]["candidate"])["image"]
    for number in range(len(history), 0, -1):
        generation, module = history[number - 1], baseline_module(history[:number], label)
        if module is None or generation.created > job["created"]:
            continue
        if generation.pointers[module].image == image:
            return generation, module
    return None


def released_since(
    shop: Workshop, measured: Mapping[str, str], certificates: Collection[str]
) -> str | None:
    """Since when users load the bytes that were measured, by the certificate that they have now.

    Args:
        certificates: the digests of those that were made from the run; if users have the bytes by
            another one, that is said.
    """
    history = read_history(shop.store)
    module = shop.label.module
    live = history[-1].pointers.get(module) if history else None
    if live is None or any(getattr(live, part) != digest for part, digest in measured.items()):
        return None
    unchanged = takewhile(lambda old: old.pointers.get(module) == live, reversed(history))
    *_, first = unchanged
    other = "" if live.certificate in certificates else ", by the certificate of another run"
    return f"generation {first.number}{other}"


def _opened(store: Store, digest: str, keys: TrustedKeys) -> Verified:
    return open_certificate(certificate_path(store, digest).read_bytes(), keys)


def _runs(path: Path) -> list[dict[str, Any]]:
    """The records that can be read; the judgement names those that can't."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _logs(folder: Path, runs: list[dict[str, Any]], judgement: Mapping[str, Any]) -> dict[str, str]:
    """The ends of logs: all of cases that did not pass, the first run's of the others."""
    passed = {case["id"] for case in judgement["cases"] if case["verdict"] == "PASS"}
    found = {}
    for run in runs:
        if run.get("case") in passed and run.get("pair") != 0:
            continue
        for name in run.get("logs", {}):
            path = folder / name
            if path.is_file() and folder in path.resolve().parents:
                found[name] = path.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
    return found


def _commands(log: Path, begun: str, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of the store's log that were begun between a run's begin and its last case's end.

    Each line begins with when its program was started; for which label it doesn't say.
    """
    if not log.is_file():
        return []
    ended = max([timestamp(_end(run)) for run in runs], default=begun)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if begun <= line.partition(" ")[0] <= ended][-_COMMANDS:]


def _end(run: Mapping[str, Any]) -> datetime:
    return moment(run["started"]) + timedelta(seconds=run["seconds"])


def _json(path: Path) -> Any:
    return parse(path.read_bytes(), str(path))
