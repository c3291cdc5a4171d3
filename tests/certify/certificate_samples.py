"""A build, its validation and its keys, small enough to read; tests change one thing at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.canonical import canonical_json, hash_bytes, hash_value
from stackwright.certify import dsse
from stackwright.certify.acceptance import Waiver
from stackwright.certify.artefact import Artefact
from stackwright.certify.attest import attest_results
from stackwright.certify.keys import PrivateKey, TrustedKeys
from stackwright.certify.statement import PlanFacts, Statement, make_statement
from stackwright.certify.verify import Expected

LABEL = "pytorch/2.13.0-cpu@local"
NOW = datetime(2026, 11, 20, 20, 0, 0, tzinfo=timezone.utc)
ISSUED = NOW - timedelta(minutes=10)
EXPIRES = NOW + timedelta(days=180)
CASES = ("gradients.torchrun-2.image", "gemm.none-1.image")


def new_key() -> PrivateKey:
    return PrivateKey.of(ec.generate_private_key(ec.SECP256R1()))


BUILDER, RELEASE, STRANGER = new_key(), new_key(), new_key()
TRUSTED = TrustedKeys(release=(RELEASE.public,), builder=(BUILDER.public,))


def digest(text: str) -> str:
    return hash_bytes(text.encode())


SUITE = digest("suite")
HOST = {"cpu": "a processor"}
FACTS = PlanFacts(digest("lock"), hash_value(HOST), digest("payload"), "podman")


def artefact(label: str = LABEL) -> Artefact:
    folder = label.replace("/", "-").replace("@", "-")
    return Artefact.model_validate(
        {
            "schema": "stackwright/artefact/1",
            "label": label,
            "plan_hash": digest(f"{label} plan"),
            "image": {
                "digest": digest(f"{label} image"),
                "config": digest(f"{label} config"),
                "oci": f"steps/image/{folder}/oci",
                "bytes": 3,
            },
            "squashfs": {
                "digest": digest(f"{label} squashfs"),
                "path": f"steps/squashfs/{folder}/image.squashfs",
                "bytes": 2,
            },
            "prefix": {
                "digest": digest(f"{label} prefix"),
                "path": f"steps/prefix/{folder}/prefix",
                "bytes": 1,
            },
        }
    )


def job(built: Artefact) -> bytes:
    arm = {
        "plan_hash": built.plan_hash,
        "image": built.image.digest,
        "squashfs": built.squashfs.digest,
        "prefix": built.prefix.digest,
    }
    return canonical_json(
        {
            "label": built.label,
            "system": "local",
            "suite": {"name": "certify", "digest": SUITE},
            "payload": FACTS.payload,
            "host": HOST,
            "runtime": FACTS.runtime,
            "arms": {"candidate": arm, "baseline": None},
            "cases": [asked_case(name) for name in CASES],
        }
    )


def asked_case(name: str, *args: str, run: str = "/store/runs/1") -> dict[str, Any]:
    """A case as a job asks it: how it is run differs from run to run."""
    line = ["podman", "run", f"--mount={run}", "/stackwright/payload/cases/some.py", *args]
    return {
        "id": name,
        "case": "some",
        "ranks": 2,
        "argv": {"candidate": line},
        "env": {"STACKWRIGHT_ROOFLINE": f"{run}/payload/bin/roofline"},
        "kill": {"candidate": ["podman", "rm", run]},
    }


def results(verdicts: dict[str, str] | None = None) -> bytes:
    verdicts = verdicts or dict.fromkeys(CASES, "PASS")
    return b"".join(canonical_json(pair) + b"\n" for pair in verdicts.items())


def judge(job_bytes: bytes, results_bytes: bytes) -> dict[str, Any]:
    """Stand in for the gate: its results say outright how each case came out."""
    asked = json.loads(job_bytes)
    verdicts = dict(json.loads(line) for line in results_bytes.splitlines())
    order = ("INVALID", "HUNG", "FAIL", "INCONCLUSIVE", "UNAVAILABLE")
    worst = [verdict for verdict in order if verdict in verdicts.values()]
    return {
        "schema": "stackwright/judgement/1",
        "job_id": "20261120T194000Z-1f2e3d4c",
        "label": asked["label"],
        "system": asked["system"],
        "job": hash_bytes(job_bytes),
        "results": hash_bytes(results_bytes),
        "arms": asked["arms"],
        "suite": asked["suite"],
        "verdict": worst[0] if worst else "PASS",
        "kind": "BASELINE",
        "reasons": [],
        "cases": [
            {"id": case, "verdict": verdict, "reasons": [], "seconds": 0.1, "checks": []}
            for case, verdict in verdicts.items()
        ],
    }


def judgement(built: Artefact, verdicts: dict[str, str] | None = None, **changes: Any) -> bytes:
    return canonical_json({**judge(job(built), results(verdicts)), **changes})


def compared_with(built: Artefact, image: str | None) -> dict[str, Any]:
    """The arms of a judgement that compares ``built`` with a released image."""
    arms = json.loads(job(built))["arms"]
    released = {**arms["candidate"], "image": image} if image else None
    return {"candidate": arms["candidate"], "baseline": released}


def statement(
    built: Artefact | None = None,
    verdicts: dict[str, str] | None = None,
    waivers: Sequence[Waiver] = (),
    *,
    issued: datetime = ISSUED,
    expires: datetime = EXPIRES,
    baseline: str | None = None,
) -> Statement:
    built = built or artefact()
    judged = judgement(built, verdicts, arms=compared_with(built, baseline))
    return make_statement(built, judged, waivers, FACTS, issued=issued, expires=expires)


def certificate(built: Artefact | None = None, key: PrivateKey = RELEASE, **options: Any) -> bytes:
    return dsse.sign(statement(built, **options).to_json(), key)


def edited(change: dict[str, Any], key: PrivateKey = RELEASE) -> bytes:
    """A certificate whose predicate says something else, properly signed all the same."""
    value = json.loads(statement().to_json())
    value["predicate"] |= change
    return dsse.sign(canonical_json(value), key)


def expected(built: Artefact | None = None, cases: Sequence[str] = CASES) -> Expected:
    return Expected.of(
        built or artefact(),
        system="local",
        suite=SUITE,
        payload=FACTS.payload,
        required_cases=frozenset(cases),
    )


def write_run(folder: Path, built: Artefact, verdicts: dict[str, str] | None = None) -> Path:
    """Write a run folder as `validate` leaves it."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(job(built))
    (folder / "results.jsonl").write_bytes(results(verdicts))
    (folder / "judgement.json").write_bytes(judgement(built, verdicts))
    (folder / "results.dsse.json").write_bytes(
        attest_results(job(built), results(verdicts), BUILDER)
    )
    return folder
