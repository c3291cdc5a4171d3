"""The catalogue itself: whole, and held to what it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import attacks
import prefixes
import pytest
from attacks import Ground
from build_samples import REPOSITORY
from fault import Fault, Outcome, enough, load_catalogue, make_row, shortfalls, table
from interposed import LIBRARIES
from payload import Bench, shipped_cases
from payload_runs import FAULTS, SUITES, TOOLS, needs_stack
from pydantic import ValidationError
from test_mutants import Control
from walk import Ran, Walk

from stackwright.validation.suites import expand, load_suite

CATALOGUE = load_catalogue()
FAULT = Fault(
    name="wrong_sum",
    what="a sum is wrong",
    case="collectives-gloo.torchrun-2",
    checks=("allreduce_sum",),
    perhaps=("allreduce_min",),
    reason="3 of 4 wrong",
)
CAUGHT = Outcome("FAIL", frozenset({"allreduce_sum"}), "check allreduce_sum: 3 of 4 wrong")

# What learning shows; tests/validation/test_science.py sees these fail.
ELSEWHERE = {
    f"cosmoflow: {check}"
    for check in (
        *("half_of_trivial", "beats_power_spectrum", "samples_to_target"),
        *("shards", "equal_parameters"),
    )
}
# test_operators.py there injects the faults of this case, all in one process.
IN_ONE_PROCESS = {"operators", "definitions"}
# What the catalogue was asked to have, and the fault that is it.
ASKED = {
    "a rank left out of the allreduce": "rank_left_out_of_allreduce",
    "sum instead of mean": "sum_for_mean",
    "loss mis-scaled by N": "loss_divided_by_ranks_twice",
    "all ranks on the same shard": "same_shard_for_all",
    "a stale gradient": "stale_gradient",
    "unused-parameter gradients skipped": "mean_over_ranks_that_used_it",
    "wrong seed broadcast": "wrong_seed_broadcast",
    "one rank in lower precision": "gradients_of_a_rank_in_low_precision",
    "a 20 % slowdown": "kernels_a_fifth_slower",
    "one slow rank": "slow_rank",
    "a hang at step k": "hang_at_third_step",
    "a silent fallback to a slower transport": "shared_memory_transport_off",
    "a missing plugin": "missing_shared_library",
    "threads oversubscribed": "threads_oversubscribed",
    "wrong library version first on the path": "older_version_first_on_the_path",
    "a corrupted image layer": "corrupted_image_layer",
    "a module that sets nothing": "module_that_sets_nothing",
    "a tampered result file": "edited_values",
    "a replayed certificate": "replayed_certificate",
    "a lost rank": "rank_dies_at_third_step",
    "a dead rendezvous": "dead_rendezvous",
}


def functions(module: object) -> set[str]:
    found = vars(module).items()
    return {n for n, f in found if inspect.isfunction(f) and f.__module__ == module.__name__}


def test_every_fault_that_was_asked_for_is_there() -> None:
    assert set(ASKED.values()) <= {fault.name for fault in CATALOGUE}


def test_injectors_and_entries_are_the_same() -> None:
    files = {path.stem for path in FAULTS.glob("[!_]*.py")} - {"sitecustomize", "nothing"}

    assert {fault.injector for fault in CATALOGUE.start_up} == files
    assert {fault.injector for fault in CATALOGUE.prefix} == {
        name for name in functions(prefixes) if not name.startswith("_")
    }
    assert {fault.injector for fault in CATALOGUE.library} == {
        path.stem for path in LIBRARIES.glob("*.c")
    }
    for fault in CATALOGUE.attack:
        assert callable(getattr(attacks, fault.injector))


@pytest.mark.parametrize(
    "entry", [*CATALOGUE.start_up, *CATALOGUE.prefix, *CATALOGUE.library], ids=lambda f: f.name
)
def test_the_case_has_the_checks_that_are_to_catch_a_fault(entry: Fault) -> None:
    case = shipped_cases(entry.suite)[entry.case]

    assert {*entry.checks, *entry.perhaps} <= set(case.checks)
    assert entry.minutes <= (bool(case.looks) or case.script in IN_ONE_PROCESS)
    assert entry.minutes or not (case.looks and entry.by_metrics)  # pairs take minutes


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [
        ("core", ELSEWHERE),
        ("microbenchmarks", set()),
        ("tensorflow", set()),
        ("jax", set()),
        ("horovod", set()),
        ("fftw", set()),
    ],
)
def test_every_check_of_a_suite_is_seen_to_fail(name: str, elsewhere: set[str]) -> None:
    suite = load_suite(REPOSITORY / f"validation/suites/{name}.yaml")
    shipped = {(c.script, check) for c in expand(suite, {"VERSIONS": ""}) for check in c.checks}
    faults = (*CATALOGUE.start_up, *CATALOGUE.prefix, *CATALOGUE.library)
    seen = {(shipped_cases(f.suite)[f.case].script, k) for f in faults for k in f.checks}

    assert {f"{script}: {check}" for script, check in shipped - seen} == elsewhere


def test_the_faults_of_make_test_fail_every_check_that_all_faults_fail() -> None:
    def shown(faults: Iterable[Fault]) -> set[tuple[str, str]]:
        return {
            (f.case.partition(".")[0], what) for f in faults for what in f.checks or (f.reason,)
        }

    faults = [fault for fault in CATALOGUE.start_up if fault.suite == "certify"]
    names = enough(CATALOGUE.start_up)
    chosen = [fault for fault in faults if fault.name in names]

    assert shown(chosen) == shown(faults)
    assert len(chosen) < len(faults)
    assert len(names) - len(chosen) == len({*SUITES, TOOLS} - {"certify"})


def test_what_was_caught_as_it_should_be_counts() -> None:
    assert shortfalls(FAULT, "PASS", CAUGHT) == []
    also = replace(CAUGHT, checks=CAUGHT.checks | {"allreduce_min"})
    assert shortfalls(FAULT, "PASS", also) == []


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Outcome("PASS", frozenset(), ""), "the verdict is PASS, not FAIL"),
        (replace(CAUGHT, verdict="INVALID"), "the verdict is INVALID, not FAIL"),
        (replace(CAUGHT, checks=frozenset({"allreduce_min"})), "not caught by allreduce_sum"),
        (
            replace(CAUGHT, checks=CAUGHT.checks | {"broadcast"}),
            "caught by broadcast, which it should not concern",
        ),
        (replace(CAUGHT, said="exit code 1"), "nothing says '3 of 4 wrong'"),
    ],
)
def test_what_was_caught_by_something_else_has_survived(found: Outcome, why: str) -> None:
    assert why in shortfalls(FAULT, "PASS", found)
    assert not make_row(FAULT, "start-up", "PASS", found, 1.0).killed


@pytest.mark.parametrize(
    ("control", "verdict", "killed"),
    [
        ("PASS", "FAIL", True),
        ("PASS", "INCONCLUSIVE", True),
        ("INCONCLUSIVE", "FAIL", True),
        ("INCONCLUSIVE", "INCONCLUSIVE", False),
        ("FAIL", "FAIL", False),
        ("INVALID", "FAIL", False),
    ],
)
def test_a_control_that_does_not_pass_shows_nothing(
    control: str, verdict: str, killed: bool
) -> None:
    slow = FAULT.model_copy(update={"verdicts": ("FAIL", "INCONCLUSIVE")})
    found = replace(CAUGHT, verdict=verdict)

    assert make_row(slow, "start-up", control, found, 1.0).killed is killed


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"checks": ["allreduce_sum"]}, "nothing is meant to catch it"),
        ({"case": "collectives-gloo.torchrun-2"}, "any refusal would do"),
        ({"command": "certify"}, "any refusal would do"),
        ({"command": "certify", "reason": "x", "verdicts": ["PASS"]}, "may PASS is not caught"),
    ],
)
def test_an_entry_that_asks_nothing_is_refused(asked: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Fault.model_validate({"name": "wrong_sum", "what": "a sum is wrong", **asked})


def test_the_table_says_who_was_to_catch_what_and_what_happened() -> None:
    rows = [
        make_row(FAULT, "start-up", "PASS", CAUGHT, 3.4),
        make_row(FAULT, "start-up", "PASS", Outcome("PASS", frozenset(), ""), 3.4),
    ]

    headings, killed, survived = (re.split(" {2,}", line) for line in table(rows))

    common = ["wrong_sum", "start-up", "collectives-gloo.torchrun-2", "FAIL", "PASS"]
    assert headings[:3] == ["fault", "injected as", "caught by"]
    assert killed == [*common, "FAIL", "3", "allreduce_sum"]
    assert survived == [*common, "PASS: SURVIVED", "3"]


def test_a_command_that_is_to_refuse_must_say_why() -> None:
    attack = Fault(name="forged", what="a forgery", command="certify", reason="not signed")
    refused = Outcome("REFUSED", frozenset(), "error: not signed by a trusted key")

    assert shortfalls(attack, "PASS", refused) == []
    assert shortfalls(attack, "PASS", replace(refused, said="error: no such label"))


def test_an_attack_that_succeeds_has_survived(tmp_path: Path) -> None:
    walk = Walk(tmp_path, tmp_path, {})
    attack = Fault(name="forged", what="a forgery", command="certify", reason="not signed")

    found = Ground(tmp_path, walk, lambda: walk).outcome("", Ran(0, "not signed: released", ""))

    assert found.verdict == "DONE"
    assert shortfalls(attack, "PASS", found) == ["the command that had to refuse it did not"]


@needs_stack
def test_no_fault_at_all_survives(bench: Bench, control: Control, tmp_path: Path) -> None:
    """Else whatever is injected would count as caught, as by an injector that breaks Python."""
    fault = next(f for f in CATALOGUE.start_up if f.name == "momentum_forgotten")
    case = bench.case(fault.case)

    found = Outcome.of(bench.judge(case, tmp_path / "run", "nothing"))

    assert "the verdict is PASS, not FAIL" in shortfalls(fault, control(case, False), found)


@needs_stack
@pytest.mark.long
def test_a_run_on_its_own_shows_what_checks_find_but_not_what_is_missing(
    bench: Bench, tmp_path: Path
) -> None:
    case = bench.case("launch-latency.none-1")
    short = replace(case, metrics=case.metrics[:1])

    found = {
        name: bench.judge(asked, tmp_path / name, fault, once=True).verdict
        for name, asked, fault in (
            ("healthy", case, "nothing"),
            ("faulty", case, "launch_lost"),
            ("unasked", short, "nothing"),
        )
    }

    assert found == {"healthy": "PASS", "faulty": "FAIL", "unasked": "INVALID"}
