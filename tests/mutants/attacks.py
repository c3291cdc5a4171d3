"""Attacks on a small stack that is built, validated, certified and released for real.

Each is a function that does its deed in copies of the site and of the store, and returns the
command that has to refuse. docs/walkthrough.md does most of the same with PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build_samples import LABEL
from fault import Outcome
from walk import OVERLAY, Ran, Walk, candidate, copied, judged, replace_text, tamper

from stackwright.certify.attest import attest_results
from stackwright.certify.keys import load_private

CASES = Path("validation/cases/emit.py")
SUITE = Path("validation/suites/smoke.yaml")


@dataclass(frozen=True)
class Ground:
    """What attacks begin with; `slow` has a validated candidate that is a fifth slower."""

    folder: Path
    released_walk: Walk
    slow_walk: Callable[[], Walk]

    def released(self) -> Walk:
        """The released stack, to be done with as one likes."""
        return self._own(self.released_walk)

    def slow(self) -> Walk:
        """The candidate that did not pass, to be done with as one likes."""
        return self._own(self.slow_walk())

    def candidate(self, start_up: str) -> Walk:
        """Build and validate a candidate in whose Python a line runs at each start."""
        walk = candidate(self.released(), self.folder / "candidate", start_up)
        walk.run("validate", LABEL)
        return walk

    def verdict_of_the_released(self, case: str) -> str:
        """What the gate said of a case, or of all, before the stack was released."""
        cases = judged(self.released_walk)
        return cases[case].verdict if case else "PASS"

    def outcome(self, case: str, refused: Ran) -> Outcome:
        """What came of an attack: the verdict on a case, if one is to decide, and the refusal."""
        assert not refused.code or refused.refusal  # in one line
        told = refused.err if refused.code else refused.out
        verdict = "REFUSED" if refused.code else "DONE"
        if not case:
            return Outcome(verdict, frozenset(), told, bool(refused.code))
        found = Outcome.of(judged(Walk(self.folder / "site", self.folder / "store", {}))[case])
        return replace(found, said=f"{found.said}; {told}", refused=bool(refused.code))

    def _own(self, walk: Walk) -> Walk:
        return walk.with_site(self.folder / "site").with_store(self.folder / "store")


# --- candidates ---------------------------------------------------------------------------------


def fifth_slower_candidate(ground: Ground) -> Ran:
    """See the fixture `slow`."""
    return ground.slow().run("certify", LABEL)


def rank_skipped_in_candidate(ground: Ground) -> Ran:
    """MPI's allreduce takes the last rank's array as zero."""
    return ground.candidate("import break_it; break_it.skip_a_rank()").run("certify", LABEL)


def more_threads_than_granted(ground: Ground) -> Ran:
    """As a start-up file in the image may do it."""
    return ground.candidate("import os; os.environ['OMP_NUM_THREADS'] = '2'").run("certify", LABEL)


def module_that_sets_nothing(ground: Ground) -> Ran:
    """The host's Python runs in place of the stack's."""
    template = "modules/modulefile.lua.j2"
    walk = ground.released()
    (walk.site / template).write_text('help("this module sets nothing")\n')
    made = candidate(walk, ground.folder / "candidate", "# nothing happens here")
    made.run("validate", LABEL)
    return made.run("certify", LABEL)


def launcher_replaced_by_overlay(ground: Ground) -> Ran:
    """A launcher that starts one rank, whatever it is asked for."""
    walk = ground.released()
    (walk.site / OVERLAY / "bin/mpiexec").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    return walk.run("build", LABEL)


# --- bytes --------------------------------------------------------------------------------------


def corrupted_image_layer(ground: Ground) -> Ran:
    """One bit of the image's largest layer."""
    walk = ground.released()
    layout = walk.store / record(walk)["image"]["oci"]
    layer = max((layout / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    flip_a_bit(layer)
    return walk.run("validate", LABEL)


def corrupted_squashfs(ground: Ground) -> Ran:
    """One bit of the file that Charliecloud and Shifter mount, after its certificate."""
    walk = ground.released()
    flip_a_bit(walk.store / record(walk)["squashfs"]["path"])
    return walk.run("release", LABEL)


def edited_manifest(ground: Ground) -> Ran:
    """The prefix says that it is another version."""
    walk = ground.released()
    prefix = walk.store / record(walk)["prefix"]["path"]
    replace_text(prefix / "share/stackwright/manifest.json", LABEL, "mini/2.0-cpu@bench")
    return walk.run("validate", LABEL)


def record(walk: Walk) -> dict[str, Any]:
    """The artefact's record; there is one."""
    (path,) = (walk.store / "artefacts").glob("*.json")
    return json.loads(path.read_bytes())


def flip_a_bit(file: Path) -> None:
    """Write a new file, as the store's copies share theirs by hard links."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)


# --- results ------------------------------------------------------------------------------------


def tampered(*deeds: str) -> Callable[[Ground], Ran]:
    """Do deeds of examples/break-it/tamper.py to the slow candidate's run, then certify."""

    def attack(ground: Ground) -> Ran:
        walk = ground.slow()
        tamper(copied(walk.latest_run), *deeds)
        return walk.run("certify", LABEL)

    return attack


edited_values = tampered("values")
edited_values_and_judgement = tampered("values", "judgement")
results_chained_anew = tampered("values", "chain", "judgement")
results_signed_by_another = tampered("values", "chain", "judgement", "signature")
failed_case_left_out = tampered("without=speed.none-1.image", "chain", "judgement")
lowered_floors = tampered("floors", "chain", "judgement")


def edited_between_two_calls(ground: Ground) -> Ran:
    """Otherwise `validate --resume` would sign whatever lies there."""
    walk = ground.slow()
    run = copied(walk.latest_run)
    tamper(run, "values", "chain")
    return walk.run("validate", LABEL, "--resume", str(run))


def edited_copy_of_the_cases(ground: Ground) -> Ran:
    """The copy that an interrupted run goes on with."""
    walk = ground.slow()
    run = copied(walk.latest_run)
    replace_text(run / "payload/cases/emit.py", "ok=bool(ok)", "ok=True")
    return walk.run("validate", LABEL, "--resume", str(run))


def lowered_floors_signed_by_the_builder(ground: Ground) -> Ran:
    """Even the builder's key can't change what the suite asks."""
    walk = ground.slow()
    run = copied(walk.latest_run)
    tamper(run, "floors", "chain", "judgement")
    key = load_private(walk.store / "keys/builder.key")
    job, results = ((run / name).read_bytes() for name in ("job.json", "results.jsonl"))
    (run / "results.dsse.json").write_bytes(attest_results(job, results, key))
    return walk.run("certify", LABEL)


# --- another suite, other cases, for as long as it takes ----------------------------------------


def case_removed_and_put_back(ground: Ground) -> Ran:
    """The failing case is missing while the candidate is validated and certified."""
    walk = ground.slow()
    suite = walk.site / SUITE
    whole = suite.read_text()
    suite.write_text(whole[: whole.index("  - name: speed")])
    walk.done("validate", LABEL)
    walk.done("certify", LABEL)
    suite.write_text(whole)
    return walk.run("release", LABEL)


def cases_that_always_pass(ground: Ground) -> Ran:
    """Put back before the release: the digest of the cases is in the certificate."""
    walk = ground.slow()
    cases = walk.site / CASES
    honest = cases.read_text()
    cases.write_text(honest.replace("value=float(value)", "value=1e6"))
    walk.done("validate", LABEL)
    walk.done("certify", LABEL)
    cases.write_text(honest)
    return walk.run("release", LABEL)


# --- certificates of something else -------------------------------------------------------------


def replayed_certificate(ground: Ground) -> Ran:
    """The released build's, for the slow candidate."""
    walk = ground.slow()
    return walk.run("release", LABEL, "--certificate", str(walk.newest_certificate))


def certificate_older_than_the_release(ground: Ground) -> Ran:
    """Its build passed, but was never compared with what is released by now."""
    walk = ground.released()
    older = str(walk.newest_certificate)
    honest = candidate(walk, ground.folder / "candidate", "# nothing happens here")
    for command in ("validate", "certify", "release"):
        honest.done(command, LABEL)
    return walk.run("release", LABEL, "--certificate", older)


def record_forged_for_another_system(ground: Ground) -> Ran:
    """The bytes of one system under the name of another."""
    walk = ground.released()
    for old in ("systems/bench.yaml", "stacks/locks/mini-1.0-cpu@bench.lock.json"):
        path = walk.site / old
        text = path.read_text().replace("name: bench", "name: other").replace("@bench", "@other")
        path.with_name(path.name.replace("bench", "other")).write_text(text)
    other = LABEL.replace("@bench", "@other")
    plan_hash = json.loads(walk.done("show", other, "--json"))["plan_hash"]
    forged = {**record(walk), "label": other, "plan_hash": plan_hash}
    name = f"{plan_hash.removeprefix('sha256:')}.json"
    (walk.store / "artefacts" / name).write_text(json.dumps(forged))
    return walk.run("release", other, "--certificate", str(walk.newest_certificate))


def edited_live_modulefile(ground: Ground) -> Ran:
    """The bytes and the certificate still hold; what users load is something else."""
    walk = ground.released()
    walk.done("release", LABEL)  # modulefiles name the store, and this one is elsewhere
    modulefile = walk.store / "live/modules/mini/1.0-cpu.lua"
    text = modulefile.read_text()
    modulefile.unlink()  # a hard link to the original
    modulefile.write_text(f'{text}prepend_path("PATH", "/somewhere/else")\n')
    return walk.run("verify", LABEL)
