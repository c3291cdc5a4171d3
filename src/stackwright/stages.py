"""Certify and release: what is gathered from site and store for the pure functions that decide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from stackwright.building.recipe import installed_modules
from stackwright.building.samebytes import check_one_image
from stackwright.building.templates import Templates
from stackwright.canonical import hash_value
from stackwright.certify import dsse
from stackwright.certify.acceptance import Judged, Waiver, accepted_cases, check_cases
from stackwright.certify.artefact import Artefact
from stackwright.certify.attest import check_interruptions, verify_results
from stackwright.certify.evidence import Evidence, agree
from stackwright.certify.keys import PrivateKey, TrustedKeys, load_private
from stackwright.certify.statement import PlanFacts, make_statement, moment, timestamp
from stackwright.certify.verify import (
    Certificate,
    Expected,
    check_dates,
    open_certificate,
    verify_certificate,
)
from stackwright.disputes import (
    check_still_believed,
    check_undisputed,
    earlier_runs,
    evidence_folder,
)
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.inputs.fields import PART
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked, versions
from stackwright.release.generations import read_history, save_certificate
from stackwright.release.measure import check_bytes
from stackwright.release.places import misplaced
from stackwright.release.rule import Outcome, Request, release
from stackwright.release.state import Generation
from stackwright.release.view import Render, View, certified_artefact, damaged
from stackwright.store import Store
from stackwright.tools.account import account
from stackwright.validation.gate import judge
from stackwright.validation.host import check_host
from stackwright.validation.prepare import other_than_asked
from stackwright.validation.runs import runs
from stackwright.validation.suites import (
    FOR_LOOKING,
    ConcreteCase,
    expand,
    load_suite,
    payload_digest,
    suite_digest,
)
from stackwright.waivers import waivers_of
from stackwright.workshop import Workshop

MAX_EVIDENCE_DAYS = 30
"""How many days before the certificate's issue its run may have been begun: machines change."""


def certify(shop: Workshop, suite: str, key: Path, *, issued: datetime, expires: datetime) -> Path:
    """Sign what the last validation of a label found out; returns the certificate's path.

    Args:
        key: the file of the release key. It is read once there is something to sign, before the
            artefact's bytes are hashed.

    Raises:
        StackwrightError: it wasn't validated by this suite as the site has it now, its results
            were changed, a case neither passed nor is waived, the key is none that a release
            would believe, or the artefact's bytes changed.
    """
    trusted = shop.trusted()
    waivers = waivers_of(shop.site, shop.label, required_cases(shop, suite))
    now = {
        "suite": {"name": suite, "digest": _suite_digest(shop, suite)},
        "payload": _payload(shop),
    }
    folder = latest_run(shop, suite, now, by=issued)
    job, recorded, interrupted = checked_run(shop, folder, trusted)
    check_interruptions(interrupted)
    asked = json.loads(job)
    earlier = earlier_runs(shop.store, folder, asked)
    check_undisputed(shop.store, asked, earlier, {waiver.case for waiver in waivers})
    check_age(asked, issued)
    if stale := [name for name, value in now.items() if asked[name] != value]:
        raise _refused(f"the {' and the '.join(stale)} changed since {folder.name}", shop)
    check_asked(shop, suite, asked)
    check_image_ran(asked, folder)
    accepted_cases(Judged.read(recorded), waivers, issued.date())
    signer = _release_key(key, trusted)  # all this before half a minute of hashing
    check_bytes(shop.artefact, shop.measure)
    lock = locked(shop.plan, shop.site)
    with shop.stage("comparing the image with its squashfs and prefix") as on_part:
        check_one_image(
            shop.artefact,
            shop.plan,
            lock,
            shop.site,
            shop.store,
            shop.runner(),
            lambda size: on_part("squashfs", size, shop.artefact.squashfs.bytes),
        )
    facts = PlanFacts(
        lock=shop.plan.lock_digest or "",
        system_fingerprint=hash_value(asked["host"]),
        payload=asked["payload"],
        runtime=asked.get("runtime"),
        earlier=earlier,
        interrupted=interrupted,
    )
    statement = make_statement(
        shop.artefact, recorded, waivers, facts, issued=issued, expires=expires
    )
    return save_certificate(shop.store, dsse.sign(statement.to_json(), signer))


def check_image_ran(asked: Mapping[str, Any], folder: Path) -> None:
    """Check that a case ran in the image, as a certificate names image and squashfs as well.

    Raises:
        StackwrightError: all went through the module.
    """
    if asked.get("runtime") is None:
        raise StackwrightError(
            f"no case of {folder.name} ran in the image, which a certificate would name as well",
            hint=f"give a case of suite {asked['suite']['name']} the channel image",
        )


def _release_key(path: Path, trusted: TrustedKeys) -> PrivateKey:
    key = load_private(path)
    if key.public.id not in {known.id for known in trusted.release}:
        raise StackwrightError(
            f"key {key.public.id[:16]} is no release key here: no release would believe it",
            hint="stackwright keys list shows those that count",
        )
    return key


def checked_run(
    shop: Workshop, folder: Path, keys: TrustedKeys
) -> tuple[bytes, bytes, dict[str, int]]:
    """The job and the judgement of a run, once its results were verified and judged again.

    Also how often its runs were interrupted.

    Raises:
        StackwrightError: a file is missing, no builder signed the results, or they say otherwise.
    """
    job, results, recorded = (
        _read(folder, name) for name in ("job.json", "results.jsonl", "judgement.json")
    )
    begun = verify_results(_read(folder, "results.dsse.json"), job, results, keys)
    if not agree(rejudge(job, results), json.loads(recorded)):
        raise _refused(f"{folder.name}: judgement.json is not what its results say", shop)
    return job, recorded, begun.in_vain


def release_label(
    shop: Workshop,
    envelope: bytes,
    *,
    keys: TrustedKeys,
    now: datetime,
    why: str,
    make_default: bool | None,
) -> Outcome:
    """Release a label by a certificate, if it holds for these very bytes on this system.

    Raises:
        StackwrightError: one line for what is wrong; nothing has moved then.
    """
    suite = shop.suite
    certificate = open_certificate(envelope, keys)
    check_current(shop, certificate, now)
    request = Request(
        artefact=shop.artefact,
        certificate=envelope,
        system=shop.label.system,
        suite=_suite_digest(shop, suite),
        payload=_payload(shop),
        required_cases=frozenset(required_cases(shop, suite)),
        who=account(),
        why=why,
        make_default=make_default,
    )
    return release(
        shop.store,
        request,
        keys=keys,
        measure=shop.measure,
        render=renderer(shop.site, shop.store),
        now=now,
        evidence=_evidence(shop, certificate),
    )


def renderer(site: Site, store: Store) -> Render:
    """What a release puts before users, by its path in the generation."""
    templates = Templates(site.root / "modules")

    def render(artefact: Artefact, default: str) -> Mapping[str, bytes]:
        stack = parse(artefact.label).stack
        modulerc = templates.render("modulerc.lua.j2", {"default": f"{stack}/{default}"})
        return {**_own_files(store, artefact), f"modules/{stack}/.modulerc.lua": modulerc}

    return render


def _own_files(store: Store, artefact: Artefact) -> dict[str, bytes]:
    """The label's own files, all of them made from certified bytes.

    Its modulefile and kernel are in the prefix; the environment, for run times that ignore what an
    image sets, is in the image.
    """
    label, image = parse(artefact.label), artefact.image
    built = installed_modules(store.path(artefact.prefix.path))
    kernel = f"jupyter/kernels/{label.stack}-{label.release}/kernel.json"
    config = store.path(image.oci) / "blobs" / "sha256" / image.config.removeprefix("sha256:")
    variables = json.loads(config.read_bytes())["config"]["Env"]
    return {
        f"images/{label.module}/environment": "".join(f"{v}\n" for v in variables).encode(),
        f"modules/{label.stack}/{label.release}.lua": built["module.lua"],
        **({kernel: built["kernel.json"]} if "kernel.json" in built else {}),
    }


def verify_label(
    shop: Workshop, envelope: bytes, *, keys: TrustedKeys, now: datetime
) -> Certificate:
    """Check a certificate against the label's bytes and the evidence, as a release would.

    Raises:
        StackwrightError: one line for the first thing that is wrong.
    """
    check_bytes(shop.artefact, shop.measure)
    expected = Expected.of(
        shop.artefact,
        system=shop.label.system,
        suite=_suite_digest(shop, shop.suite),
        payload=_payload(shop),
        required_cases=frozenset(required_cases(shop, shop.suite)),
    )
    certificate = open_certificate(envelope, keys)
    check_current(shop, certificate, now)
    evidence = _evidence(shop, certificate)
    return verify_certificate(envelope, keys, expected, now=now, evidence=evidence)


def check_current(shop: Workshop, certificate: Certificate, now: datetime) -> None:
    """Check that site and store say nothing against a certificate that it can't know itself.

    Raises:
        StackwrightError: a later validation disputes it, or a waiver in it was taken back.
    """
    check_still_believed(shop.store, certificate)
    used = certificate.statement.predicate.waivers
    if used:
        site = waivers_of(shop.site, shop.label, required_cases(shop, shop.suite))
        check_still_waived(used, site, now.date())


def check_in_force(shop: Workshop, certificate: Certificate, now: datetime) -> None:
    """Check that a certificate by which users have something would let it through today as well.

    Raises:
        StackwrightError: it expired, a waiver in it ended, or a later validation disputes it.
    """
    check_dates(certificate, now)
    predicate = certificate.statement.predicate
    issued = moment(predicate.issued).date()
    check_cases(predicate.cases, predicate.waivers, predicate.cases, issued=issued, day=now.date())
    check_current(shop, certificate, now)


def check_still_waived(used: Iterable[Waiver], site: Iterable[Waiver], day: date) -> None:
    """Check that the site still has the waivers that a certificate needed.

    Raises:
        StackwrightError: one is gone, or ended before ``day``.
    """
    cases = {waiver.case for waiver in site if waiver.covers(day)}
    for waiver in used:
        if waiver.case not in cases:
            raise StackwrightError(
                f"the certificate needs a waiver for {waiver.case!r}, and the site has none now",
                hint="mend the case, validate and certify again, or restore it in "
                "validation/waivers.yaml",
                code=ExitCode.FAIL,
            )


def check_live(shop: Workshop, keys: TrustedKeys) -> Generation | None:
    """The live generation, if users load the label's artefact by it.

    Raises:
        StackwrightError: users find something else there than was released.
    """
    history = read_history(shop.store)
    live = history[-1] if history else None
    pointer = live.pointers.get(shop.label.module) if live else None
    if live is None or pointer is None or pointer.plan_hash != shop.plan_hash:
        return None
    view = View(live.defaults, renderer(shop.site, shop.store))
    for module in live.pointers:
        if module.startswith(f"{shop.label.stack}/"):
            view.add(certified_artefact(shop.store, live, module, keys)[0])
    wrong = [*damaged(shop.store, live)]
    for owner, content in view.content.items():
        there = live.content[owner].files.items() if owner in live.content else ()
        differ = sorted({*there} ^ {*content.files.items()})
        wrong += [shop.store.path(f"generations/{live.number}/{path}") for path, _ in differ]
    if wrong:
        moved = [one for one in misplaced(shop.store) if one.module == shop.label.module]
        raise StackwrightError(
            str(moved[0]) if moved else "it was changed after its release",
            where=None if moved else Location(wrong[0]),
            hint=f"to put it right: stackwright release '{shop.label}'",
            code=ExitCode.INVALID,
        )
    return live


def newest_certificate(shop: Workshop, keys: TrustedKeys) -> bytes:
    """The certificate of the label's artefact that was issued last.

    Raises:
        StackwrightError: there is none that a trusted key signed.
    """
    problems: list[StackwrightError] = []
    if found := certificates(shop, keys, problems.append):
        return found[-1].envelope
    if problems:
        raise problems[-1]
    raise StackwrightError(
        f"{shop.label} has no certificate for what its files say now",
        hint=_to_a_certificate(shop),
        code=ExitCode.FAIL,
    )


def _to_a_certificate(shop: Workshop) -> str:
    """What to type next; only `certify` where the last validation passed."""
    judged = [run.judgement for run in runs(shop.store) if run.job["label"] == str(shop.label)]
    asked = {"verdict": "PASS", "suite": shop.suite, "plan": shop.plan_hash}
    last = judged[-1] if judged and judged[-1] else None
    found = last and {
        "verdict": last["verdict"],
        "suite": last["suite"]["name"],
        "plan": last["arms"]["candidate"]["plan_hash"],
    }
    certify = f"stackwright certify '{shop.label}'"
    return certify if found == asked else f"stackwright validate '{shop.label}', then {certify}"


def certificates(
    shop: Workshop, keys: TrustedKeys, on_error: Callable[[StackwrightError], None] = lambda _: None
) -> list[Certificate]:
    """The certificates of the label's artefact, in the order in which they were issued.

    Args:
        on_error: is told of each that no trusted key signed, or that can't be read.
    """
    found = []
    for path in sorted((shop.store.root / "certificates").glob("*.json")):
        try:
            opened = open_certificate(path.read_bytes(), keys)
        except StackwrightError as error:
            on_error(error)
            continue
        if (opened.statement.label, opened.statement.plan_hash) == (
            str(shop.label),
            shop.plan_hash,
        ):
            found.append(opened)
    return sorted(found, key=lambda opened: (opened.statement.predicate.issued, opened.envelope))


def check_age(job: Mapping[str, Any], issued: datetime) -> None:
    """Check that what is certified was measured lately, and not in the future.

    Raises:
        StackwrightError: begun after ``issued``, or more than `MAX_EVIDENCE_DAYS` before it.
    """
    begun = moment(job["created"])
    if begun > issued:
        what = f"it is {timestamp(issued)} now, before that: a clock is or was wrong"
    elif issued - begun > timedelta(days=MAX_EVIDENCE_DAYS):
        what = f"more than {MAX_EVIDENCE_DAYS} days ago"
    else:
        return
    raise StackwrightError(
        f"run {job['job_id']} was begun at {job['created']}, {what}",
        hint=f"validate again: stackwright validate '{job['label']}' --fresh",
        code=ExitCode.FAIL,
    )


def latest_run(
    shop: Workshop,
    suite: str | None = None,
    asked: Mapping[str, Any] | None = None,
    *,
    by: datetime,
) -> Path:
    """The folder of the judged validation of the label that was begun last.

    Args:
        shop: the label, and the store of its runs.
        suite: only those by this suite; None for any.
        asked: what a job should say; without one that does, it is the last of all.
        by: those that say that they were begun later don't count, unless there is no other.

    Raises:
        StackwrightError: it was never validated as its files say now.
    """
    of_label = [
        (folder, job, judged["suite"]["name"])
        for folder, job, judged in runs(shop.store)
        if judged is not None and judged["arms"]["candidate"]["plan_hash"] == shop.plan_hash
    ]
    asked_by = {by_suite for *_, by_suite in of_label}
    found = [(folder, job) for folder, job, by_suite in of_label if suite in (None, by_suite)]
    if not found:
        whose = f" by suite '{suite}'" if suite else ""
        but = f", but by {FOR_LOOKING}" if f"{PART}{suite}" in asked_by else ""
        raise StackwrightError(
            f"{shop.label} was not validated{whose} as its files say now{but}",
            hint=f"stackwright validate '{shop.label}'" + (f" --suite {suite}" if suite else ""),
            code=ExitCode.FAIL,
        )
    past = [(folder, job) for folder, job in found if moment(job["created"]) <= by] or found
    fitting = [(folder, job) for folder, job in past if (asked or {}).items() <= job.items()]
    newest, _ = max(fitting or past, key=lambda run: (run[1]["created"], run[0].name))
    return newest


def required_cases(shop: Workshop, suite: str) -> set[str]:
    """The ids of all cases that the suite asks for."""
    return {case.id for case in _cases(shop, suite)}


def check_asked(shop: Workshop, suite: str, job: Mapping[str, Any]) -> None:
    """Check that a job asks what the suite asks, and asked it of a machine of the system.

    Its floors, ranks, looks and checks are the suite's own.

    Raises:
        StackwrightError: job.json was changed after `validate` had written it, or it was measured
            on a machine that is not the system's.
    """
    system = shop.site.system(shop.label.system)
    check_host(job["host"], system, f"the machine that {job['job_id']} measured")
    if changed := other_than_asked(job, _cases(shop, suite)):
        raise _refused(f"job.json is not what suite '{suite}' asks: {'; '.join(changed)}", shop)


def rejudge(job: bytes, results: bytes) -> Mapping[str, Any]:
    """The gate's judgement as plain values."""
    value: Mapping[str, Any] = json.loads(judge(job, results).to_json())
    return value


def _evidence(shop: Workshop, certificate: Certificate) -> Evidence:
    """What a certificate was made from, with the gate and the suite that it has to fit."""

    def rejudge_as_asked(job: bytes, results: bytes) -> Mapping[str, Any]:
        check_asked(shop, certificate.statement.predicate.suite.name, json.loads(job))
        return rejudge(job, results)

    return Evidence(evidence_folder(shop.store, certificate), rejudge_as_asked)


def _cases(shop: Workshop, suite: str) -> tuple[ConcreteCase, ...]:
    values = {"VERSIONS": versions(shop.plan, shop.site)}
    system = shop.site.system(shop.label.system)
    return expand(load_suite(shop.site.suite_file(suite)), values, system.can)


def _suite_digest(shop: Workshop, suite: str) -> str:
    return suite_digest(shop.site.suite_file(suite))


def _payload(shop: Workshop) -> str:
    return payload_digest(shop.site.root / "validation")


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise StackwrightError(
            f"cannot read the evidence: {error.strerror}",
            where=Location(folder / name),
            code=ExitCode.INVALID,
        ) from error


def _refused(what: str, shop: Workshop) -> StackwrightError:
    return StackwrightError(
        what, hint=f"validate again: stackwright validate '{shop.label}'", code=ExitCode.INVALID
    )
