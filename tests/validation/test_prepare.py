"""From a suite and its arms to job.json: what the driver and the gate will accept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.validation.host import fingerprint
from stackwright.validation.launch import Module, Nodes
from stackwright.validation.prepare import Arm, Heading, make_job, other_than_asked
from stackwright.validation.results import load_job
from stackwright.validation.suites import ConcreteCase, Launch, Metric

HEADING = Heading(
    job_id="20261120T194000Z-1f2e3d4c",
    nonce="0" * 32,
    created="2026-11-20T19:40:00Z",
    seed=7,
    suite="smoke",
    suite_digest="sha256:" + "1" * 64,
    payload_digest="sha256:" + "2" * 64,
    files_digest="sha256:" + "3" * 64,
    runtime="podman",
    host={"cores": 2},
)
CHECKED = ConcreteCase(
    id="imports.none-1.module",
    script="imports",
    args=("--expect", "torch=2.13.0"),
    channel="module",
    launch=Launch(launcher="none", ranks=1, threads=2),
    timeout_s=60,
    looks=(),
    checks=("versions",),
    metrics=(),
)
MEASURED = replace(
    CHECKED,
    id="compute.none-1.module",
    script="compute",
    looks=(8, 16),
    metrics=(Metric(name="gemm", unit="GFLOP/s"),),
)


def artefact(digit: str) -> Artefact:
    digest = "sha256:" + digit * 64
    part = {"digest": digest, "path": "steps/x/y", "bytes": 1}
    image = {"digest": digest, "config": digest, "oci": "steps/x/oci", "bytes": 1}
    return Artefact.model_validate(
        {
            "schema": "stackwright/artefact/1",
            "label": "pytorch/2.13.0-cpu@local",
            "plan_hash": digest,
            "image": image,
            "squashfs": part,
            "prefix": part,
        }
    )


def arm(digit: str) -> Arm:
    module = Module(Path("/lmod/init"), Path(f"/tree-{digit}"), "pytorch/2.13.0-cpu")
    return Arm(artefact(digit), {"module": module})


def test_the_gate_reads_what_was_prepared() -> None:
    job = make_job(HEADING, (CHECKED, MEASURED), arm("a"), arm("b"), Path("/payload"))
    assert load_job(json.dumps(job).encode()).label == "pytorch/2.13.0-cpu@local"


def test_the_job_names_the_run_time_of_its_images() -> None:
    through_the_image = replace(CHECKED, id="imports.none-1.image", channel="image")
    module = arm("a").channels["module"]
    both = Arm(artefact("a"), {"module": module, "image": module})

    job = make_job(HEADING, (CHECKED, through_the_image), both, None, Path("/payload"))
    assert load_job(json.dumps(job).encode()).runtime == "podman"
    job = make_job(HEADING, (CHECKED,), both, None, Path("/payload"))
    assert load_job(json.dumps(job).encode()).runtime is None


def test_only_what_is_measured_is_run_with_the_baseline_too() -> None:
    job = make_job(HEADING, (CHECKED, MEASURED), arm("a"), arm("b"), Path("/payload"))
    assert [sorted(case["argv"]) for case in job["cases"]] == [
        ["candidate"],
        ["baseline", "candidate"],
    ]


def test_each_arm_runs_its_own_stack() -> None:
    (case,) = make_job(HEADING, (MEASURED,), arm("a"), arm("b"), Path("/payload"))["cases"]
    assert "/tree-a" in case["argv"]["candidate"]
    assert "/tree-b" in case["argv"]["baseline"]
    assert "/tree-a" not in case["argv"]["baseline"]


def test_without_a_release_there_is_no_baseline() -> None:
    job = make_job(HEADING, (MEASURED,), arm("a"), None, Path("/payload"))
    assert job["arms"]["baseline"] is None
    assert list(job["cases"][0]["argv"]) == ["candidate"]


def test_no_node_is_named_on_which_nothing_would_run() -> None:
    heading = replace(HEADING, nodes=Nodes(("nid0001", "nid0002"), cores=2))
    with pytest.raises(StackwrightError, match="no case of suite 'smoke' runs over 2 nodes"):
        make_job(heading, (CHECKED,), arm("a"), None, Path("/payload"))


def test_a_suite_without_cases_validates_nothing() -> None:
    with pytest.raises(StackwrightError, match="selects no case"):
        make_job(HEADING, (), arm("a"), None, Path("/payload"))


def test_a_payload_that_no_mount_can_name_is_refused() -> None:
    with pytest.raises(StackwrightError, match=r"imports.none-1.module.*can't be launched"):
        make_job(HEADING, (CHECKED,), arm("a"), None, Path("/pay,load"))


def test_the_fingerprint_of_a_machine_does_not_change_from_call_to_call() -> None:
    assert fingerprint() == fingerprint()
    assert fingerprint()["cores"] >= 1


def changed_job(case: dict[str, object]) -> dict[str, object]:
    job = make_job(HEADING, (CHECKED, MEASURED), arm("a"), None, Path("/payload"))
    checked, measured = job["cases"]
    return {**job, "cases": [checked, {**measured, **case}]}


def test_a_job_as_it_was_made_is_what_the_suite_asked() -> None:
    assert other_than_asked(changed_job({}), (CHECKED, MEASURED)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": [{"name": "gemm", "unit": "GFLOP/s", "delta": 0.9}]},
        {"looks": [8]},
        {"ranks": 2},
        {"threads": 1},
        {"timeout_s": 1e9},
        {"checks": []},
        {"case": "always_passes"},
        {"lacks": ["gpu-aware-mpi"]},
    ],
)
def test_a_job_that_asks_less_than_the_suite_is_found(change: dict[str, object]) -> None:
    (key,) = change
    assert other_than_asked(changed_job(change), (CHECKED, MEASURED)) == [
        f"compute.none-1.module has other {key}"
    ]


def test_a_job_that_ran_what_the_system_is_now_said_to_lack_is_found() -> None:
    lacking = replace(MEASURED, lacks=("gpu-aware-mpi",))
    assert other_than_asked(changed_job({}), (CHECKED, lacking)) == [
        "compute.none-1.module has other lacks"
    ]


def test_a_job_of_before_there_were_capabilities_lacked_none() -> None:
    job = changed_job({})
    for case in job["cases"]:
        del case["lacks"]
    assert other_than_asked(job, (CHECKED, MEASURED)) == []


def test_a_job_with_other_cases_than_the_suite_is_found() -> None:
    job = make_job(HEADING, (CHECKED,), arm("a"), None, Path("/payload"))
    assert other_than_asked(job, (MEASURED,)) == [
        "it lacks the case compute.none-1.module",
        "it adds the case imports.none-1.module",
    ]
