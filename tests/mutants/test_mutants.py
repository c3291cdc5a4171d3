"""Every fault of the catalogue is caught, by the case and the check that are meant to catch it.

`make mutants` runs all of them and prints the kill table; `make test` leaves out those that take
minutes, and those whose checks others fail as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import attacks
import interposed
import prefixes
import pytest
from attacks import Ground
from fault import Fault, Outcome, Row, enough, load_catalogue, make_row
from payload import Bench
from payload_runs import TOOLS, needs_horovod, needs_stack, needs_tools

from stackwright.validation.suites import ConcreteCase

CATALOGUE = load_catalogue()
Control = Callable[[ConcreteCase, bool], str]
Record = Callable[[Row], None]


def each(faults: tuple[Fault, ...]) -> pytest.MarkDecorator:
    needed = enough(faults)
    params = [
        pytest.param(f, id=f.name, marks=[pytest.mark.mutant] * (f.minutes or f.name not in needed))
        for f in faults
    ]
    return pytest.mark.parametrize("fault", params)


def case_of(fault: Fault, bench: Bench) -> ConcreteCase:
    case = bench.case(fault.case, fault.suite)
    return replace(case, timeout_s=fault.timeout_s or case.timeout_s)


def once(fault: Fault, case: ConcreteCase) -> bool:
    """Whether a single run of a case with metrics decides: only their loss takes more to see."""
    return bool(case.looks) and not fault.by_metrics


def at_start_up(fault: Fault, bench: Bench, control: Control, folder: Path) -> Row:
    """Judge a case whose Python starts with a fault."""
    case = case_of(fault, bench)
    healthy = control(case, once(fault, case))

    judged = bench.judge(case, folder / "run", fault.injector, once=once(fault, case))

    return make_row(fault, "start-up", healthy, Outcome.of(judged), judged.seconds)


def in_a_copy(
    fault: Fault,
    way: str,
    change: Callable[[Path], None],
    bench: Bench,
    control: Control,
    folder: Path,
) -> Row:
    """Judge a case in a copy of the stack's prefix that was changed."""
    case = case_of(fault, bench)
    healthy = control(case, once(fault, case))

    with bench.prefix.copy() as prefix:
        change(prefix.root)
        judged = bench.judge(case, folder / "run", None, prefix, once=once(fault, case))

    return make_row(fault, way, healthy, Outcome.of(judged), judged.seconds)


def of_tools(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Those of a stack without a framework."""
    return tuple(fault for fault in faults if fault.suite == TOOLS)


@needs_stack
@each(tuple(fault for fault in CATALOGUE.start_up if fault.suite not in {"horovod", TOOLS}))
def test_fault_at_start_up(
    fault: Fault, bench: Bench, control: Control, record: Record, tmp_path: Path
) -> None:
    record(at_start_up(fault, bench, control, tmp_path))


@needs_tools
@each(of_tools(CATALOGUE.start_up))
def test_fault_of_tools_at_start_up(
    fault: Fault, tools_bench: Bench, tools_control: Control, record: Record, tmp_path: Path
) -> None:
    record(at_start_up(fault, tools_bench, tools_control, tmp_path))


@needs_horovod
@each(tuple(fault for fault in CATALOGUE.start_up if fault.suite == "horovod"))
def test_fault_of_horovod(
    fault: Fault, horovod_bench: Bench, horovod_control: Control, record: Record, tmp_path: Path
) -> None:
    record(at_start_up(fault, horovod_bench, horovod_control, tmp_path))


@needs_stack
@each(tuple(fault for fault in CATALOGUE.prefix if fault.suite != TOOLS))
def test_fault_of_the_prefix(
    fault: Fault, bench: Bench, control: Control, record: Record, tmp_path: Path
) -> None:
    change = getattr(prefixes, fault.injector)

    record(in_a_copy(fault, "prefix", change, bench, control, tmp_path))


@needs_tools
@each(of_tools(CATALOGUE.prefix))
def test_fault_of_the_prefix_of_tools(
    fault: Fault, tools_bench: Bench, tools_control: Control, record: Record, tmp_path: Path
) -> None:
    change = getattr(prefixes, fault.injector)

    record(in_a_copy(fault, "prefix", change, tools_bench, tools_control, tmp_path))


@needs_tools
@each(CATALOGUE.library)
def test_another_library_in_place_of_fftw(
    fault: Fault, tools_bench: Bench, tools_control: Control, record: Record, tmp_path: Path
) -> None:
    change = partial(interposed.instead_of_fftw, fault.injector)

    record(in_a_copy(fault, "library", change, tools_bench, tools_control, tmp_path))


@pytest.mark.real
@each(CATALOGUE.attack)
def test_attack_on_the_small_stack(fault: Fault, ground: Ground, record: Record) -> None:
    healthy = ground.verdict_of_the_released(fault.case)
    begun = time.monotonic()

    refused = getattr(attacks, fault.injector)(ground)

    found = ground.outcome(fault.case, refused)
    record(make_row(fault, "attack", healthy, found, time.monotonic() - begun))
