"""Break it on purpose: what has to hold beside the refusals of tests/mutants/attacks.py.

docs/walkthrough.md does the same with PyTorch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from build_samples import LABEL
from real_samples import container_storage
from walk import Walk, candidate, copied, judged, replace_text, tamper

from stackwright.canonical import hash_file

pytestmark = pytest.mark.real

SPEED = "speed.none-1.image"
SUITE = Path("validation/suites/smoke.yaml")


# Faulty candidates


def test_a_candidate_that_is_a_fifth_slower_cannot_be_certified(slow: Walk) -> None:
    assert judged(slow)[SPEED].verdict == "FAIL"
    assert f"the case '{SPEED}' did not pass: FAIL" in slow.run("certify", LABEL).refusal
    assert "has no certificate for what its files say now" in slow.run("release", LABEL).refusal


def test_a_waiver_is_read_before_anything_is_hashed_and_named_wherever_it_counts(
    slow_copy: Walk,
) -> None:
    tomorrow = date.today() + timedelta(days=1)
    waiver = f"{{label: {LABEL}, case: {SPEED}, reason: ticket 4711, expires: {tomorrow}}}"
    file = slow_copy.site / "validation/waivers.yaml"
    line = f"  waived: {SPEED} until {tomorrow}: ticket 4711\n"

    file.write_text(f"waivers: [{waiver.replace('speed.none', 'sped.none')}]\n")
    refused = slow_copy.run("certify", LABEL)
    assert f"(did you mean '{SPEED}'?)" in refused.refusal
    assert "hashing" not in refused.err

    file.write_text(f"waivers: [{waiver}]\n")
    assert line in slow_copy.done("certify", LABEL)
    assert line in slow_copy.done("release", LABEL)
    assert "released, 1 waived" in slow_copy.done("list")


def test_a_case_that_did_not_pass_is_told_before_anything_is_hashed(slow: Walk) -> None:
    refused = slow.run("certify", LABEL)

    assert f"the case '{SPEED}' did not pass" in refused.refusal
    assert "hashing" not in refused.err


def test_what_another_machine_measured_counts_for_nothing(released: Walk, tmp_path: Path) -> None:
    """Cores are no part of the plan: the bytes stay those that were certified."""
    assert "the image ran under podman" in released.done("verify", LABEL)
    walk = released.with_site(tmp_path / "site").with_store(tmp_path / "store")
    replace_text(walk.site / "systems/bench.yaml", "cores: 2", "cores: 4096")
    said = "is not system 'bench' (cores: "

    for command in ("validate", "certify", "release", "verify"):
        assert said in walk.run(command, LABEL).refusal, command


# Tampered evidence


def test_results_whose_chain_was_computed_anew_pass_the_gate_but_not_the_signature(
    slow_copy: Walk,
) -> None:
    """The gate alone can't tell: that is what the builder's signature is for."""
    run = copied(slow_copy.latest_run)
    tamper(run, "values", "chain", "judgement")

    assert slow_copy.run("judge", str(run)).code == 0
    assert "signed for another" in slow_copy.run("certify", LABEL).refusal


def test_results_edited_between_two_calls_are_not_continued(slow_copy: Walk) -> None:
    """Otherwise `validate --resume` would sign whatever lies there."""
    run = copied(slow_copy.latest_run)
    before = (run / "results.dsse.json").read_bytes()
    tamper(run, "values", "chain")

    refusal = slow_copy.run("validate", LABEL, "--resume", str(run)).refusal

    assert "signed for another job.json or results.jsonl" in refusal
    assert (run / "results.dsse.json").read_bytes() == before


# Another suite, other cases, for as long as it takes


@pytest.mark.long
def test_a_run_that_is_resumed_behind_one_of_another_suite_names_what_was_tried(
    released: Walk, tmp_path: Path
) -> None:
    walk = released.with_site(tmp_path / "site").with_store(tmp_path / "store")
    first = walk.latest_run
    walk.done("validate", LABEL)
    interrupted = walk.latest_run
    (interrupted / "judgement.json").unlink()  # as if it had been stopped at its end
    suite = walk.site / SUITE
    text = suite.read_text()
    suite.write_text(f"{text}# another one\n")
    walk.done("validate", LABEL)
    other = walk.latest_run
    suite.write_text(text)

    resumed = walk.run("validate", LABEL)

    assert f"going on in {interrupted} (--fresh begins anew)" in resumed.err
    walk.done("certify", LABEL)
    walk.done("release", LABEL)  # modulefiles name the store, and this one is elsewhere
    said = json.loads(walk.done("verify", LABEL, "--json"))["predicate"]
    assert said["evidence"]["job"] == hash_file(interrupted / "job.json")
    assert said["earlier"] == {
        first.name: "PASS",
        other.name: "PASS by suite smoke, as it was then",
    }


# Certificates of something else


def test_an_honest_candidate_is_released_and_then_the_older_certificate_counts_no_more(
    released: Walk, tmp_path: Path
) -> None:
    """That the honest one gets through shows that the others were not refused for a trifle."""
    store = released.with_store(tmp_path / "store")
    older = str(store.newest_certificate)
    honest = candidate(store, tmp_path / "site", "# nothing happens here")
    honest.done("validate", LABEL)
    honest.done("certify", LABEL)
    honest.done("release", LABEL)
    assert honest.live == Path("generations/2")

    refusal = store.run("release", LABEL, "--certificate", older).refusal

    assert "the certificate compares with nothing, but mini/1.0-cpu" in refusal
    assert honest.live == Path("generations/2")


# The bytes


def test_a_manifest_that_was_edited_stops_validation_and_release(
    released: Walk, tmp_path: Path
) -> None:
    walk = released.with_store(tmp_path / "store")
    (record,) = (walk.store / "artefacts").glob("*.json")
    prefix = walk.store / json.loads(record.read_bytes())["prefix"]["path"]
    replace_text(prefix / "share/stackwright/manifest.json", LABEL, "mini/2.0-cpu@bench")

    for command in ("validate", "certify", "release"):
        refusal = walk.run(command, LABEL).refusal
        assert "the prefix's manifest does not describe this prefix" in refusal, command


def test_an_edited_live_modulefile_is_found_by_verify(released: Walk, tmp_path: Path) -> None:
    """The bytes and the certificate still hold; what users load is something else."""
    walk = released.with_store(tmp_path / "store")
    walk.done("release", LABEL)  # modulefiles name the store, and this one is elsewhere
    assert "users load it: generation 2" in walk.done("verify", LABEL)
    modulefile = walk.store / "live" / "modules" / "mini" / "1.0-cpu.lua"
    text = modulefile.read_text()
    modulefile.unlink()  # a hard link to the original
    modulefile.write_text(f'{text}prepend_path("PATH", "/somewhere/else")\n')

    assert "it was changed after its release" in walk.run("verify", LABEL).refusal

    walk.done("release", LABEL)  # mends it
    assert "users load it: generation 3" in walk.done("verify", LABEL)


def test_a_file_named_like_a_label_is_not_verified_in_its_place(
    released: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = released.with_store(tmp_path / "store")
    walk.done("release", LABEL)
    shutil.copy(walk.newest_certificate, tmp_path / "mini")
    monkeypatch.chdir(tmp_path)

    assert "signature, dates, cases, evidence and bytes" in walk.done("verify", "mini")


def test_the_line_for_others_needs_nothing_of_the_account_that_released(
    released: Walk, tmp_path: Path
) -> None:
    """Every account has a storage of its own: here an empty one, without the tag."""
    (line,) = (
        line for line in released.done("release", LABEL).splitlines() if line.startswith("others:")
    )
    command = line.removeprefix("others:").partition("   (")[0].replace(" -it ", " ")
    with container_storage(tmp_path / "containers") as storage:
        tag = ["podman", "image", "exists", "localhost/mini:1.0-cpu"]
        env = {**os.environ, **storage}
        assert subprocess.run(tag, env=env, check=False).returncode == 1

        done = subprocess.run(
            ["sh", "-c", f"{command} python -c 'import sys; print(sys.prefix)'"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout == "/opt/stackwright\n", done.stderr


@pytest.mark.skipif(shutil.which("ch-run") is None, reason="needs: apt-get install charliecloud")
def test_the_line_for_charliecloud_gives_users_the_certified_environment(
    released: Walk, tmp_path: Path
) -> None:
    """ch-run takes nothing of what the image sets, and a package in ~/.local would be seen."""
    decoy = tmp_path / ".local/lib/python3.11/site-packages/numpy"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise ImportError('the decoy was imported')\n")
    found = json.loads(released.done("release", LABEL, "--json"))
    program = "import numpy, sys; print(sys.prefix)"
    argv = ["ch-run", "--unset-env=*", "--env-no-expand", f"--set-env={found['environment']}"]

    done = subprocess.run(
        [*argv, found["squashfs"], "--", "python", "-c", program],
        env={**os.environ, "HOME": str(tmp_path), "USER": "someone"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "/opt/stackwright\n", done.stderr


@pytest.mark.parametrize("runtime", ["podman", "charliecloud", "bubblewrap"])
def test_a_command_runs_in_the_released_image_and_writes_to_the_current_folder(
    released: Walk, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime == "charliecloud" and shutil.which("ch-run") is None:
        pytest.skip("needs: apt-get install charliecloud")
    monkeypatch.chdir(tmp_path)
    program = "import os, sys; open('made', 'w').write(sys.prefix + os.environ['A']); sys.exit(42)"
    options = ("--runtime", runtime, "--env", "A= b", "--dry-run")

    line = released.done("run", LABEL, *options, "--", "python", "-c", program)

    env = {**os.environ, **released.environment}
    assert subprocess.run(["sh", "-c", line], env=env, check=False).returncode == 42
    assert Path("made").read_text() == "/opt/stackwright b"
